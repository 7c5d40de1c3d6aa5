import { tokenBatches } from '../causal/tokenBatches.ts';
import { runBounds } from '../interventions/cleanPairs.ts';
import { padded } from '../interventions/cleanRuns.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';

/** Repetitions; the middle one counts. */
const REPETITIONS = 3;

/** Seconds that one run of all prompts through the whole network takes, from the tokens to the last logits: what each set would cost with no prefix shared. */
export async function wholeRunSeconds(model: SubjectModel, prompts: readonly Int32Array[], batchTokens: number): Promise<number> {
  const sorted = prompts.toSorted((a, b) => a.length - b.length);
  const total = sorted.reduce((sum, { length }) => sum + length, 0);
  const bounds = runBounds(model, Math.min(batchTokens, Math.max(256, Math.ceil(total / model.concurrency))));
  const batches = tokenBatches(sorted, ({ length }) => length, bounds).map(padded);
  const times: number[] = [];
  for (let i = 0; i < REPETITIONS; i++) {
    const started = performance.now();
    await Promise.all(batches.map((batch) => model.forward({ batch, taps: [], logits: 'last' })));
    times.push((performance.now() - started) / 1000);
  }
  return times.sort((a, b) => a - b)[REPETITIONS >> 1];
}

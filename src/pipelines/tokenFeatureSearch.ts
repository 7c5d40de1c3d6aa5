import { join } from 'node:path';
import { stateToTensors, tensorsToState, type FloatTensors } from '../activations/collectorTensors.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import { PatternCounters, type Detection } from '../interp/patternCounters.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { inOrder } from './inOrder.ts';
import { batchOf, type ReadText } from './readText.ts';

export interface PatternSearchInput {
  readonly model: SubjectModel;
  readonly dictionaries: readonly DictionaryWeights[];
  readonly text: ReadText;
  /** Activation above which a feature counts as active; 0 = as the dictionary says. */
  readonly threshold: number;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** The run's own folder, which exists: the checkpoint is written there. */
  readonly dir: string;
  /** Tokens of one forward run. Does not change the result. */
  readonly batchTokens: number;
  /** Seconds between checkpoints; 0 = after every batch. */
  readonly checkpointSeconds: number;
}

/** What a feature does on the pattern. */
export interface DetectingFeature extends Detection {
  readonly dictionary: string;
  readonly index: number;
}

/**
 * What every feature of the dictionaries does on a pattern, active ones only, in one pass over the text. Memory: 1.6 kB a
 * feature (PatternCounters) beside the text itself. After a crash the same call continues from the last checkpoint.
 *
 * @throws NOT_FOUND when the pattern stands nowhere in the text, before the model runs.
 */
export async function searchPattern(input: PatternSearchInput): Promise<DetectingFeature[]> {
  const { model, dictionaries, text, artefacts, progress } = input;
  const { mask, cols, rows } = text;
  invariant(mask !== null, 'a search needs a pattern');
  const pattern = mask.reduce((sum, bit) => sum + bit, 0);
  if (pattern === 0) throw new CallerError('NOT_FOUND', `the pattern does not occur in the ${mask.length} tokens read: read more with --tokens-read, or look for another one`, { field: ['pattern'] });
  const counters = dictionaries.map(({ config }) => new PatternCounters(config.nFeatures, input.threshold));
  const path = join(input.dir, 'search.safetensors');
  let next = 0;
  const found = await artefacts.readTensors(path);
  if (found !== null) {
    counters.forEach(({ arrays }, i) => {
      for (const [name, data] of tensorsToState(String(i), found.tensors)) arrays.get(name)?.set(data);
    });
    next = Number(found.metadata.nextRow);
    if (next > 0) progress.say(`token-feature: search continues at row ${next} of ${rows.length}`);
  }
  const save = async (nextRow: number): Promise<void> => {
    const tensors: FloatTensors = new Map();
    counters.forEach(({ arrays }, i) => stateToTensors(String(i), new Map(arrays), tensors));
    await artefacts.writeTensors(path, tensors, { nextRow: String(nextRow) });
  };
  const task = progress.start('token-feature: search', rows.length * cols, 'tokens');
  const perBatch = Math.max(1, Math.floor(input.batchTokens / cols));
  const starts = Array.from({ length: Math.ceil((rows.length - next) / perBatch) }, (_, i) => next + i * perBatch);
  // One more than the workers, so that none waits while results are taken.
  const results = inOrder(starts, model.concurrency + 1, async (from) => {
    const to = Math.min(rows.length, from + perBatch);
    const { codes } = await model.forward({ batch: batchOf(text, from, to), taps: [], logits: 'none', encode: dictionaries });
    return { from, to, codes };
  });
  let saved = performance.now();
  for await (const { from, to, codes } of results) {
    counters.forEach((counter, i) => counter.add(codes[i], mask, from * cols));
    task.update(to * cols);
    if (to < rows.length && performance.now() - saved < 1000 * input.checkpointSeconds) continue;
    await save(to);
    saved = performance.now();
  }
  task.finish();
  return dictionaries.flatMap(({ config }, i) =>
    Array.from({ length: config.nFeatures }, (_, index) => ({ dictionary: config.name, index, ...counters[i].of(index, pattern) })).filter(({ maxActivation }) => maxActivation > 0),
  );
}

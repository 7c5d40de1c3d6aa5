import { tokenBatches, type BatchBounds } from '../causal/tokenBatches.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { runBounds } from './cleanPairs.ts';
import { cleanRuns } from './cleanRuns.ts';
import { editedRuns } from './editedRuns.ts';
import type { InterventionOptions, InterventionRequest, InterventionResult } from './intervention.ts';
import { planIntervention, type Planned } from './plan.ts';
import { predictions } from './predictions.ts';
import type { RunRows } from './runRows.ts';
import { Turns } from './turns.ts';

const BATCH_TOKENS = 4096;
/** Work of planning a feature's edits, in multiply-adds. */
const PLANNING = 10_000;

/**
 * The intervention engine: edits dictionary features in forward runs of the model and measures what that does. One result
 * per intervention, in order, whatever ran first.
 *
 * Each distinct prompt (an index; as a target it may be run again) runs once, unedited; an intervention then runs the network
 * from the latest residual stream before its first hook point, with its edits: x′ = x + Σ_j s·(ĉ_j − c_j) f_j, or the whole
 * reconstruction where the error term is removed (Intervention.error). A transcoder's features are read at its hook point
 * and edited at its output hook point. Interventions that look at the same hook points run as rows of one batch, right-padded.
 *
 * Several features read at one hook point: all read the same x, the edits are summed, whatever their dictionary. Several
 * hook points: they are visited in the order in which they are read, and a feature's c is read from the stream as already
 * edited by the earlier ones, so that after its own edit the stream carries ĉ whatever happened before. Target activations
 * always come from the untouched target run.
 *
 * c is the dictionary's own: behind a threshold, and among the k largest where only those count. Features that are not
 * edited keep what was measured of them: editing one of the k largest lets no other feature in. An intervention that edits
 * nothing (ĉ = c everywhere, error terms kept) gives the clean run itself, to the last bit.
 *
 * Held at once, beside the results: for the prompts under way (options.batchTokens in all, or one base and its target) D
 * numbers per token and hook point looked at; the same per batch, of which model.concurrency + 1 are under way; 64 MiB of
 * logits per batch. Loops on this thread are cut into turns of milliseconds.
 *
 * Throws BAD_INPUT (an intervention that is not well-formed, or one that makes the numbers overflow: the first found) and
 * BAD_DICTIONARY (one that does not fit the model).
 */
export async function intervene(model: SubjectModel, request: InterventionRequest, options: InterventionOptions = {}): Promise<InterventionResult[]> {
  const turns = new Turns();
  const planned: Planned[] = [];
  for (const [place, { features }] of request.interventions.entries()) {
    if (turns.due(PLANNING + features.length * PLANNING)) await turns.give();
    planned.push(planIntervention(request, place, model.info));
  }
  const bounds = runBounds(model, options.batchTokens ?? BATCH_TOKENS);
  const results: InterventionResult[] = [];
  await inLanes(work(model, request.prompts, planned, bounds), model.concurrency + 1, async ({ batch, clean: started }) => {
    const clean = await started();
    const edited = await editedRuns(model, batch, clean, turns);
    const found = batch[0].predict === 'none' ? null : await predictions(model, edited, clean, bounds.rows, turns);
    for (const [b, { planned: one, activations, watched, editMagnitude }] of edited.entries()) {
      const features = one.intervention.measures.activations === true ? activations : [];
      results[one.place] = { predictions: found?.[b].predictions ?? [], logits: found?.[b].logits ?? null, features, watched, editMagnitude };
    }
  });
  return results;
}

interface Batch {
  readonly batch: readonly Planned[];
  /** The clean runs of its prompts, started by whoever asks first. */
  clean(): Promise<ReadonlyMap<number, RunRows>>;
}

/** Interventions of one prompt after the other, so that each prompt's clean run is held only as long as they last. */
function* work(model: SubjectModel, prompts: readonly Int32Array[], planned: readonly Planned[], bounds: BatchBounds): Generator<Batch> {
  for (const part of byPrompts(prompts, planned, bounds.tokens)) {
    let running: Promise<ReadonlyMap<number, RunRows>> | undefined;
    const clean = (): Promise<ReadonlyMap<number, RunRows>> => (running ??= cleanRuns(model, prompts, part, bounds));
    const alike = part.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.ids.length - b.ids.length || a.place - b.place));
    for (const batch of tokenBatches(alike, ({ ids }) => ids.length, bounds, ({ key }) => key)) yield { batch, clean };
  }
}

/** Interventions in parts whose prompts, targets among them, have at most `tokens` tokens in all. */
function* byPrompts(prompts: readonly Int32Array[], planned: readonly Planned[], tokens: number): Generator<Planned[]> {
  const target = ({ intervention }: Planned): number => intervention.target ?? -1;
  const sorted = planned.toSorted((a, b) => a.intervention.prompt - b.intervention.prompt || target(a) - target(b) || a.place - b.place);
  let part: Planned[] = [];
  let held = new Set<number>();
  let total = 0;
  for (const one of sorted) {
    const { prompt, target: other } = one.intervention;
    const named = other === null ? [prompt] : [prompt, other];
    const sizeOf = (): number => [...new Set(named)].filter((p) => !held.has(p)).reduce((sum, p) => sum + prompts[p].length, 0);
    if (part.length > 0 && total + sizeOf() > tokens && sizeOf() > 0) {
      yield part;
      part = [];
      held = new Set();
      total = 0;
    }
    total += sizeOf();
    for (const p of named) held.add(p);
    part.push(one);
  }
  if (part.length > 0) yield part;
}

/** Runs over the items, `lanes` at a time; after a failure nothing new is started, and it is thrown once all have ended. */
async function inLanes<T>(items: Iterator<T>, lanes: number, run: (item: T) => Promise<void>): Promise<void> {
  let failed = false;
  const lane = async (): Promise<void> => {
    for (let next = items.next(); next.done !== true; next = failed ? { done: true, value: undefined } : items.next()) {
      try {
        await run(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  for (const end of await Promise.allSettled(Array.from({ length: lanes }, lane))) if (end.status === 'rejected') throw end.reason;
}

import { startBefore } from '../causal/hookOrder.ts';
import { tokenBatches, type BatchBounds } from '../causal/tokenBatches.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { readWhole, watchPoint, type Planned } from './plan.ts';
import { isEncoded } from './watch.ts';
import { forwardRun, rowsOf, type RunRows } from './runRows.ts';

/** The name of the residual stream after the last layer. */
export function finalPoint(model: SubjectModel): HookPoint {
  return `resid_post.${model.info.layers - 1}`;
}

/**
 * Runs each prompt that the interventions name, once, unedited, and keeps what any of them needs of it: the streams where
 * their features are read and where the edited runs start, codes, last logits, the final stream.
 */
export async function cleanRuns(model: SubjectModel, prompts: readonly Int32Array[], planned: readonly Planned[], bounds: BatchBounds): Promise<ReadonlyMap<number, RunRows>> {
  const taps = new Set<HookPoint>();
  const encode = new Set<DictionaryWeights>();
  const named = new Set<number>();
  for (const { intervention, stops, members, predict } of planned) {
    named.add(intervention.prompt);
    if (intervention.target !== null) named.add(intervention.target);
    taps.add(startBefore(stops[0].hook));
    for (const [s, stop] of stops.entries()) {
      // In the base prompt later stops are read again, after the edits before them.
      if (stop.kind === 'replace' || (s > 0 && intervention.target === null)) continue;
      taps.add(stop.hook);
      for (const weights of readWhole(members[s], s === 0 ? intervention.error : 'keep')) encode.add(weights);
    }
    for (const feature of intervention.measures.watch ?? []) {
      taps.add(watchPoint(feature.weights));
      if (isEncoded(feature)) encode.add(feature.weights);
    }
    if (predict === 'some') taps.add(finalPoint(model));
  }
  const logits = planned.some(({ predict }) => predict === 'last') ? 'last' : 'none';
  // Alike in length, in the order they were named: a base and its target are one run of two rows.
  const sorted = [...named].sort((a, b) => prompts[a].length - prompts[b].length);
  const found = new Map<number, RunRows>();
  for (const part of tokenBatches(sorted, (p) => prompts[p].length, bounds)) {
    const batch = padded(part.map((p) => prompts[p]));
    const run = await forwardRun(model, { batch, taps: [...taps], logits, encode: [...encode] });
    for (const [row, rows] of rowsOf(run, batch).entries()) found.set(part[row], rows);
  }
  return found;
}

/** Prompts as a right-padded batch. */
export function padded(prompts: readonly Int32Array[]): TokenBatch {
  const cols = Math.max(...prompts.map(({ length }) => length));
  const ids = new Int32Array(prompts.length * cols);
  prompts.forEach((prompt, b) => ids.set(prompt, b * cols));
  return { rows: prompts.length, cols, ids, lengths: Int32Array.from(prompts, ({ length }) => length) };
}

import { addFeatureEdit, patchedActivation } from '../causal/featureEdit.ts';
import { hookOrder } from '../causal/hookOrder.ts';
import { writeReconstruction } from '../causal/reconstruction.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { Edit } from '../ports/SubjectModel.ts';
import type { ActivationChange } from './intervention.ts';
import type { Member, Planned, Stop } from './plan.ts';
import { activationsIn, everyPosition, tapOf, type RunRows } from './runRows.ts';
import type { Turns } from './turns.ts';

/** A dictionary as it was read for one row, and ĉ of its edited features by position. */
interface Reading {
  readonly weights: DictionaryWeights;
  readonly rows: RunRows;
  readonly hook: HookPoint;
  readonly edit: HookPoint;
  readonly changed: Map<number, Map<number, number>>;
}

/** One row of a batch while it is being edited. */
export interface RowEdits {
  readonly planned: Planned;
  readonly target: RunRows | null;
  /** By place of the feature. */
  readonly activations: ActivationChange[];
  readonly readings: Map<DictionaryWeights, Reading>;
  /** Whether anything was edited at all. */
  touched: boolean;
}

/** Edits of one stop, by the order of the points where they are applied; each [rows · width, D]. */
export class StopEdits {
  readonly byOrder = new Map<number, Edit>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  at(hook: HookPoint): Float32Array {
    let edit = this.byOrder.get(hookOrder(hook));
    if (edit === undefined) this.byOrder.set(hookOrder(hook), (edit = { at: hook, delta: new Float32Array(this.#size) }));
    return edit.delta;
  }
}

/**
 * Reads one row's features at a stop and writes their edits, from vector `first` of the deltas on. Where the error term is
 * removed the edit is the reconstruction, here if it belongs here; a transcoder's waits for its own stop (replaceAt).
 */
export async function readAt(stop: Stop, members: readonly Member[], row: RowEdits, here: RunRows, edits: StopEdits, first: number, turns: Turns): Promise<void> {
  const { measures, error } = row.planned.intervention;
  for (const { place, feature, edit } of members) {
    const { weights, index, operation } = feature;
    const positions = measures.activations === true ? everyPosition(here.length) : feature.positions;
    const d = weights.config.dOut;
    if (turns.due(positions.length * d * 2)) await turns.give();
    const before = activationsIn(here, weights, index, stop.hook, positions);
    const inTarget = operation.kind === 'replace_from_target' && row.target !== null ? activationsIn(row.target, weights, index, stop.hook, feature.positions) : null;
    const after = before.slice();
    const reading = error === 'remove' ? readingOf(row, { weights, rows: here, hook: stop.hook, edit, changed: new Map() }) : null;
    for (const t of feature.positions) {
      after[t] = patchedActivation(operation, before[t], inTarget?.[t]);
      if (!Number.isFinite(Math.fround((after[t] - before[t]) * weights.config.outputScale))) {
        const message = `the patched run overflows: feature ${index} of ${weights.config.name} at position ${t} goes from ${before[t]} to ${after[t]}; choose smaller values or factors`;
        throw new CallerError('BAD_INPUT', `${row.planned.name}${message}`, { field: ['features'] });
      }
      if (reading === null) {
        addFeatureEdit(edits.at(edit), (first + t) * d, weights, index, after[t] - before[t]);
        if (after[t] !== before[t]) row.touched = true;
      } else {
        let changed = reading.changed.get(t);
        if (changed === undefined) reading.changed.set(t, (changed = new Map()));
        changed.set(index, after[t]);
      }
    }
    row.activations[place] = { before, after };
  }
  for (const reading of row.readings.values()) {
    if (hookOrder(reading.edit) === stop.order && hookOrder(reading.hook) === stop.order) await replace(reading, here, edits, first, turns);
  }
}

/** Puts transcoders' reconstructions in the place of what has come out at a stop. */
export async function replaceAt(members: readonly Member[], row: RowEdits, here: RunRows, edits: StopEdits, first: number, turns: Turns): Promise<void> {
  for (const weights of new Set(members.map(({ feature }) => feature.weights))) {
    const reading = row.readings.get(weights);
    invariant(reading !== undefined, 'a transcoder is read before it is written');
    await replace(reading, here, edits, first, turns);
  }
}

async function replace({ weights, rows, hook, edit, changed }: Reading, here: RunRows, edits: StopEdits, first: number, turns: Turns): Promise<void> {
  const codes = rows.run.codes.get(weights);
  invariant(codes !== undefined, `dictionary ${weights.config.name} was not encoded`);
  const { dIn, dOut } = weights.config;
  const [x, y] = [tapOf(rows.run.taps, hook), tapOf(here.run.taps, edit)];
  const delta = edits.at(edit);
  for (const [t, byFeature] of changed) {
    const active = codes.offsets[rows.first + t + 1] - codes.offsets[rows.first + t] + byFeature.size;
    if (turns.due(dOut * active + (weights.skip?.length ?? 0))) await turns.give();
    writeReconstruction(delta, (first + t) * dOut, weights, codes, rows.first + t, byFeature, { data: x, at: (rows.first + t) * dIn }, { data: y, at: (here.first + t) * dOut });
  }
}

function readingOf(row: RowEdits, fresh: Reading): Reading {
  row.touched = true;
  const known = row.readings.get(fresh.weights);
  if (known !== undefined) return known;
  row.readings.set(fresh.weights, fresh);
  return fresh;
}

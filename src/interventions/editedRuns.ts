import { vectorNorms } from '../causal/featureEdit.ts';
import { hookOrder, startBefore } from '../causal/hookOrder.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { Edit, SubjectModel } from '../ports/SubjectModel.ts';
import { finalPoint } from './cleanRuns.ts';
import type { ActivationChange, InterventionResult } from './intervention.ts';
import { readWhole, type Planned } from './plan.ts';
import { everyPosition, forwardRun, rowsOf, tapOf, type RunRows } from './runRows.ts';
import { readAt, replaceAt, StopEdits, type RowEdits } from './stopEdits.ts';
import type { Turns } from './turns.ts';
import { Watch } from './watch.ts';

/** What an intervention's edited run gave. */
export interface EditedRow {
  readonly planned: Planned;
  readonly activations: readonly ActivationChange[];
  readonly watched: readonly ActivationChange[];
  readonly editMagnitude: InterventionResult['editMagnitude'];
  /** Where the predictions come from: the edited run; null where nothing was edited, so that the clean run is the result to the last bit. */
  readonly end: RunRows | null;
}

/** Where the edited run stands: a residual stream [rows · width, D], and edits further on. */
interface Standing {
  readonly at: HookPoint;
  readonly residual: Float32Array;
  readonly pending: readonly Edit[];
}

/**
 * Runs interventions of one key as the rows of a batch: from the latest residual stream before their first stop, stop by
 * stop, to the end. What lies before is the clean run's. Rows that edit nothing are left out of the last run.
 */
export async function editedRuns(model: SubjectModel, planned: readonly Planned[], clean: ReadonlyMap<number, RunRows>, turns: Turns): Promise<EditedRow[]> {
  const d = model.info.dModel;
  const width = Math.max(...planned.map(({ ids }) => ids.length));
  const batch: TokenBatch = { rows: planned.length, cols: width, ids: new Int32Array(planned.length * width), lengths: Int32Array.from(planned, ({ ids }) => ids.length) };
  const cleanOf = (prompt: number): RunRows => {
    const rows = clean.get(prompt);
    invariant(rows !== undefined, `prompt ${prompt} was not run`);
    return rows;
  };
  const bases = planned.map(({ intervention }) => cleanOf(intervention.prompt));
  const rows = planned.map((one): RowEdits => ({ planned: one, target: one.intervention.target === null ? null : cleanOf(one.intervention.target), activations: [], readings: new Map(), touched: false }));
  const { stops } = planned[0];
  /** What it takes to copy or add up the batch's vectors once. */
  const pass = 4 * planned.length * width * d;
  const start = startBefore(stops[0].hook);
  const watch = await Watch.of(planned, bases, turns);
  /** x′ − x at each point edited, by its order. */
  const changes = new Map<number, Float32Array>();
  let standing: Standing = { at: start, residual: gather(bases, start, width, d), pending: [] };
  for (const [s, stop] of stops.entries()) {
    if (turns.due(pass)) await turns.give();
    let here = bases;
    if (s > 0) {
      const encode = stop.kind === 'replace' ? [] : planned.flatMap(({ members, intervention }) => readWhole(members[s], intervention.error));
      [standing, here] = await advance(model, batch, standing, stop.hook, watch, encode);
    }
    const edits = new StopEdits(planned.length * width * d);
    for (const [b, row] of rows.entries()) {
      const members = row.planned.members[s];
      if (stop.kind === 'read') await readAt(stop, members, row, here[b], edits, b * width, turns);
      else await replaceAt(members, row, here[b], edits, b * width, turns);
    }
    for (const [order, edit] of edits.byOrder) {
      if (turns.due(pass)) await turns.give();
      const known = changes.get(order);
      changes.set(order, known === undefined ? edit.delta : sumOf(known, edit.delta));
      standing = applied(standing, edit);
    }
  }
  const ends = await runToEnd(model, batch, standing, rows, watch);
  const found: EditedRow[] = [];
  for (const [b, { planned: one, activations }] of rows.entries()) {
    if (turns.due(4 * width * d)) await turns.give();
    const editMagnitude = one.intervention.measures.editMagnitude === true ? magnitude(changes, d, b * width, one.ids.length) : null;
    found.push({ planned: one, activations, watched: watch.changes(b), editMagnitude, end: ends[b] });
  }
  return found;
}

/** Runs from where the batch stands to a stop, and moves on to the residual stream before it. */
async function advance(model: SubjectModel, batch: TokenBatch, standing: Standing, hook: HookPoint, watch: Watch, encode: readonly DictionaryWeights[]): Promise<[Standing, RunRows[]]> {
  const start = startBefore(hook);
  const moves = hookOrder(start) > hookOrder(standing.at);
  const passed = moves ? watch.between(standing.at, start) : watch.nothing;
  const run = await forwardRun(model, {
    batch,
    from: standing,
    edits: standing.pending,
    taps: [...new Set([...(moves ? [start] : []), hook, ...passed.taps])],
    logits: 'none',
    encode: [...new Set([...encode, ...passed.encode])],
  });
  const here = rowsOf(run, batch);
  for (const [b, rows] of here.entries()) await passed.take(b, rows);
  if (!moves) return [standing, here];
  return [{ at: start, residual: tapOf(run.taps, start), pending: standing.pending.filter(({ at }) => hookOrder(at) > hookOrder(start)) }, here];
}

/** Runs the rows that were edited to the end of what is wanted of them: null for the others. */
async function runToEnd(model: SubjectModel, batch: TokenBatch, standing: Standing, rows: readonly RowEdits[], watch: Watch): Promise<(RunRows | null)[]> {
  const ends: (RunRows | null)[] = rows.map(() => null);
  const left = rows.keys().filter((b) => rows[b].touched).toArray();
  if (left.length === 0) return ends;
  const rest = watch.between(standing.at, null);
  const { predict } = rows[0].planned;
  const final = finalPoint(model);
  const taps = new Set([...rest.taps, ...(predict === 'some' ? [final] : [])]);
  const few = left.length === rows.length ? { batch, standing } : picked(batch, standing, left, model.info.dModel);
  const atEnd = standing.at === final && standing.pending.length === 0;
  let run;
  if (predict === 'last' || rest.taps.length + rest.encode.length > 0 || (predict === 'some' && !atEnd)) {
    const tapsAt = left.map((b, i) => wantedAt(rows[b].planned, rest.positions(b), few.batch.lengths[i]));
    run = await forwardRun(model, { batch: few.batch, from: few.standing, edits: few.standing.pending, taps: [...taps], tapsAt, logits: predict === 'last' ? 'last' : 'none', encode: rest.encode });
  } else {
    run = { taps: new Map([[final, few.standing.residual]]), codes: new Map(), logits: null };
  }
  for (const [i, end] of rowsOf(run, few.batch).entries()) {
    ends[left[i]] = end;
    await rest.take(left[i], end);
  }
  return ends;
}

/** Where a row's taps are read, ascending: its watched features' positions (null = all), and those whose predictions are read from its final stream. */
function wantedAt({ predict, intervention }: Planned, watched: readonly number[] | null, length: number): readonly number[] {
  if (watched === null) return everyPosition(length);
  const read = predict === 'some' ? (intervention.measures.positions ?? []) : [];
  return [...new Set([...watched, ...read])].sort((a, b) => a - b);
}

function applied(standing: Standing, edit: Edit): Standing {
  if (hookOrder(edit.at) === hookOrder(standing.at)) return { ...standing, residual: sumOf(standing.residual, edit.delta) };
  return { ...standing, pending: [...standing.pending, edit] };
}

/** Some rows of a batch and of everything that goes with it. */
function picked({ cols, lengths }: TokenBatch, { at, residual, pending }: Standing, rows: readonly number[], d: number): { batch: TokenBatch; standing: Standing } {
  const size = cols * d;
  const pick = (data: Float32Array): Float32Array => {
    const out = new Float32Array(rows.length * size);
    rows.forEach((b, i) => out.set(data.subarray(b * size, (b + 1) * size), i * size));
    return out;
  };
  return {
    batch: { rows: rows.length, cols, ids: new Int32Array(rows.length * cols), lengths: Int32Array.from(rows, (b) => lengths[b]) },
    standing: { at, residual: pick(residual), pending: pending.map((edit) => ({ at: edit.at, delta: pick(edit.delta) })) },
  };
}

/** The prompts' streams at a point, right-padded with zeros to [rows · width, D]. */
function gather(bases: readonly RunRows[], hook: HookPoint, width: number, d: number): Float32Array {
  const out = new Float32Array(bases.length * width * d);
  bases.forEach(({ run, first, length }, b) => out.set(tapOf(run.taps, hook).subarray(first * d, (first + length) * d), b * width * d));
  return out;
}

function magnitude(changes: ReadonlyMap<number, Float32Array>, d: number, first: number, length: number): NonNullable<InterventionResult['editMagnitude']> {
  const perPosition = new Float64Array(length);
  let total = 0;
  for (const change of changes.values()) {
    const norms = vectorNorms(change.subarray(first * d, (first + length) * d), d);
    norms.forEach((norm, t) => (perPosition[t] += norm));
    total += norms.reduce((sum, norm) => sum + norm, 0) / length;
  }
  return { perPosition, mean: total };
}

function sumOf(a: Float32Array, b: Float32Array): Float32Array {
  const sum = new Float32Array(a.length);
  for (let i = 0; i < sum.length; i++) sum[i] = a[i] + b[i]; // some ten times faster than map
  return sum;
}

import { invariant } from '../domain/errors.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import { depthOf } from './point.ts';
import type { Point } from './point.ts';
import type { SpanContext } from './spanContext.ts';

/** Features of one dictionary that a graph edits on its way: where they are read and where the edit is added (not before). */
export interface EditGroup {
  readonly read: Point;
  readonly edit: Point;
  /** Whether the dictionary keeps only its k largest activations, so that its whole encoder is read. */
  readonly largest: boolean;
}

/**
 * Inputs of group i, K features of a dictionary that reads D numbers: `edit.i.encoder` [R, D], `edit.i.bias` and
 * `edit.i.threshold` [R], `edit.i.inputScale` scalar, `edit.i.gain` and `edit.i.shift` [K], `edit.i.decoder` [K, D] with the output
 * scale in it; R = K, or F where only the k largest count, which then come with `edit.i.selected` int64 [K] and `edit.i.k`
 * int64 [1]. `editedRows` bool [B] says which rows are edited at all.
 */
export const EDITED_ROWS = 'editedRows';
export function editInput(group: number, name: string): string {
  return `edit.${group}.${name}`;
}

/**
 * Builds feature edits into a graph: x′ = x + Σ_j (gain_j c_j + shift_j) s f_j in the rows edited, so ĉ = c + v is gain 0, shift v;
 * ĉ = v is gain −1, shift v; ĉ = a c is gain a − 1. Features read at one point all read the same x; what was
 * read before has been added by then. That is what src/interventions does, in float32.
 */
export class FeatureEdits {
  readonly #groups: readonly EditGroup[];
  readonly #waiting = new Map<Point, Value[]>();
  #open: number;

  constructor(groups: readonly EditGroup[]) {
    for (const { read, edit } of groups) invariant(depthOf(read) <= depthOf(edit), `read at ${read}, edited before it at ${edit}`);
    this.#groups = groups;
    this.#open = 2 * groups.length;
  }

  /** What flows on from a point; call at every point in the order of a run. */
  at(span: SpanContext, point: Point, value: Value): Value {
    let x = value;
    for (const delta of this.#waiting.get(point) ?? []) x = this.#add(span, x, delta);
    const own: Value[] = [];
    for (const [i, { read, edit, largest }] of this.#groups.entries()) {
      if (read !== point) continue;
      this.#open--;
      const delta = deltaOf(span, i, largest, x);
      if (edit === point) own.push(delta);
      else this.#waiting.set(edit, [...(this.#waiting.get(edit) ?? []), delta]);
    }
    for (const delta of own) x = this.#add(span, x, delta);
    return x;
  }

  /** After the last point. */
  finish(): void {
    invariant(this.#open === 0, 'every edit has its points in the model');
  }

  #add(span: SpanContext, x: Value, delta: Value): Value {
    this.#open--;
    return span.ops.add(x, delta);
  }
}

/** [B, T, D]: s (ĉ − c) F of one group where edited, 0 elsewhere. */
function deltaOf(span: SpanContext, group: number, largest: boolean, x: Value): Value {
  const { ops } = span;
  const [rows, features] = [`R${group}`, largest ? `K${group}` : `R${group}`];
  const given = (name: string, dims: readonly (string | number)[], type: 'float32' | 'int64' = 'float32'): Value => span.input(editInput(group, name), type, dims);
  const product = rowProducts(span, ops.div(x, given('inputScale', [])), given('encoder', [rows, `D${group}`]), true);
  const h = ops.add(product, given('bias', [rows]));
  const active = ops.where(ops.greater(h, given('threshold', [rows])), h, 0);
  const c = largest ? chosen(span, active, given('selected', [features], 'int64'), given('k', [1], 'int64')) : active;
  const change = ops.add(ops.mul(c, given('gain', [features])), given('shift', [features]));
  return rowProducts(span, ops.where(edited(span), change, 0), given('decoder', [features, `O${group}`]), false);
}

/**
 * x [B, T, D] times a matrix [D, R], or the transpose of [R, D]. A product's last row, where it is alone in its block, sums in another order than its
 * fellows; so a row of zeros goes last, and what a token gets does not depend on how many there are.
 */
function rowProducts(span: SpanContext, x: Value, matrix: Value, transB: boolean): Value {
  const { g, ops } = span;
  const flat = g.node('Flatten', [x], { axis: 2 });
  const padded = g.node('Pad', [flat, g.int([0, 0, 1, 0])], { mode: 'constant' });
  const products = g.node('Slice', [ops.gemm(padded, matrix, { transB }), g.int([0]), g.int([-1]), g.int([0])]);
  const shape = ops.concat([g.node('Shape', [x], { start: 0, end: 2 }), g.int([-1])], 0);
  return g.node('Reshape', [products, shape]);
}

/** Of activations [B, T, F] those of the selected features [B, T, K], 0 for one that is not among its vector's k largest. Of equal ones TopK takes the earlier. */
function chosen(span: SpanContext, active: Value, selected: Value, k: Value): Value {
  const { g, ops } = span;
  const [, indices] = g.nodeWithOutputs('TopK', [active, k], 2, { axis: -1, largest: 1, sorted: 1 });
  const same = ops.equal(ops.unsqueeze(indices!, [-2]), ops.unsqueeze(selected, [1]));
  return ops.mul(ops.gather(active, selected, 2), ops.reduceMax(ops.cast(same, 'float32'), [-1], false));
}

/** [B, 1, 1] */
function edited(span: SpanContext): Value {
  return span.once('edited', () => span.ops.unsqueeze(span.input(EDITED_ROWS, 'bool', ['B']), [1, 2]));
}

import { depthOf, layersBefore } from '../../lm/point.ts';
import type { Point } from '../../lm/point.ts';
import type { WorkerTask } from './messages.ts';

/** Share of the positions from which on a layer is not worth narrowing. */
const WORTHWHILE = 0.6;
/** Tokens of a session run with one layer: with few positions in most of its products, more rows keep them large. */
const ONE_LAYER_PIECE = 2048;

/** A task whose last layer is needed at some positions only: as many of each row, the last one repeated where there are fewer. */
export interface Narrowing {
  /** S. */
  readonly width: number;
  /** [B, S]. */
  readonly positions: Int32Array;
  /** Tokens of one session run; undefined = as ever. */
  readonly pieceTokens: number | undefined;
  /** Whether a point lies behind the last layer's attention, where only those positions exist. */
  isLate(point: Point): boolean;
  /** Of vectors [B, T, D] those of rows [first, first + rows), [rows, S, D]. */
  take(data: Float32Array, d: number, cols: number, first: number, rows: number): Float32Array;
  /** Vectors [B, S, D] in their places in [B, T, D], zeros elsewhere. */
  put(data: Float32Array, d: number, cols: number, rows: number): Float32Array;
}

/** How far a task can be narrowed; null where all positions of the last layer are wanted, or nearly all. */
export function narrow(task: WorkerTask, layers: number): Narrowing | null {
  const { spec, rows, cols, lengths, tapsAt } = task;
  if (spec.logits === 'all' || (spec.gradient !== null && spec.gradient !== undefined)) return null;
  const start = spec.from ?? 0;
  const end = spec.logits === 'last' ? layers : Math.max(start, ...spec.taps.map(layersBefore));
  if (end === start) return null;
  const isLate = (point: Point): boolean => depthOf(point) > depthOf(`stream.${end - 1}`);
  const tapped = spec.taps.some(isLate);
  if (tapped && (tapsAt === null || task.encode.some(({ at }) => isLate(at)))) return null;
  const wanted = Array.from(lengths, (length, b): readonly number[] => {
    const some = tapped ? (tapsAt?.[b] ?? []) : [];
    return spec.logits === 'none' || some.at(-1) === length - 1 ? some : [...some, length - 1];
  });
  const width = Math.max(1, ...wanted.map((at) => at.length));
  if (width > WORTHWHILE * cols) return null;
  const positions = Int32Array.from({ length: rows * width }, (_, i) => {
    const at = wanted[Math.floor(i / width)];
    return at[i % width] ?? at.at(-1) ?? 0;
  });
  return {
    width,
    positions,
    pieceTokens: end - start === 1 ? ONE_LAYER_PIECE : undefined,
    isLate,
    take(data, d, all, first, count) {
      const out = new Float32Array(count * width * d);
      for (let i = 0; i < count * width; i++) {
        const from = ((first + Math.floor(i / width)) * all + positions[first * width + i]) * d;
        out.set(data.subarray(from, from + d), i * d);
      }
      return out;
    },
    put(data, d, all, count) {
      const out = new Float32Array(count * all * d);
      for (let i = 0; i < count * width; i++) out.set(data.subarray(i * d, (i + 1) * d), (Math.floor(i / width) * all + positions[i]) * d);
      return out;
    },
  };
}

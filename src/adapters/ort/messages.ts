import type { SparseCodes } from '../../domain/sparseCodes.ts';
import type { Point } from '../../lm/point.ts';
import type { SpanSpec } from '../../lm/span.ts';
import type { Device } from './device.ts';

/** What every worker is given when it starts. */
export interface WorkerSetup {
  /** Parsed config.json. */
  readonly config: unknown;
  /** Weights laid out by layOutWeights. */
  readonly weights: SharedArrayBuffer;
  readonly device: Device;
  readonly threads: number;
}

/** A dictionary's encoder, in shared memory, so that sending it is free. */
export interface SharedEncoder {
  /** Names the weights and the scale, all that a session is made from; sessions are kept under it. */
  readonly key: string;
  readonly dIn: number;
  readonly nFeatures: number;
  readonly inputScale: number;
  /** Most active features kept on a vector; null = all. */
  readonly k: number | null;
  /** θ [F]; null = all 0. */
  readonly threshold: Float32Array | null;
  /** [F, D] then [F]. */
  readonly data: SharedArrayBuffer;
}

/** One forward run, checked, in the terms of spans. */
export interface WorkerTask {
  readonly spec: SpanSpec;
  readonly rows: number;
  readonly cols: number;
  readonly lengths: Int32Array;
  /** [B, T], zeros as padding; null when the run starts from a residual stream. */
  readonly ids: Int32Array | null;
  /** [B, T, D]; null when the run starts from tokens. */
  readonly residual: Float32Array | null;
  /** One [B, T, D] per site of the spec. */
  readonly deltas: readonly (readonly [Point, Float32Array])[];
  /** Where the spec has a gradient: [B, T, D], or [B, V] of logits. */
  readonly cotangent?: Float32Array;
  /** Positions of each row at which taps are wanted; null = all. */
  readonly tapsAt: readonly (readonly number[])[] | null;
  /** Taps that travel back; the spec may have more, read only by encoders. */
  readonly keep: readonly Point[];
  readonly encode: readonly { readonly at: Point; readonly encoder: SharedEncoder }[];
}

export interface WorkerResult {
  readonly taps: readonly (readonly [Point, Float32Array])[];
  readonly logits: Float32Array | null;
  /** One per `wrt` of the spec's gradient. */
  readonly gradients: readonly (readonly [Point, Float32Array])[];
  readonly codes: readonly SparseCodes[];
}

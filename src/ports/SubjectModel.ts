import type { HookPoint } from '../domain/hookPoint.ts';
import type { ModelInfo, TokenBatch } from '../domain/model.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';

/** An additive edit: `delta` [B, T, D] is added to the activation at `at` before anything downstream reads it. */
export interface Edit {
  readonly at: HookPoint;
  readonly delta: Float32Array;
}

export interface ForwardRequest {
  readonly batch: TokenBatch;
  /**
   * Start from this residual stream [B, T, D] instead of from the tokens; `at` is a residual hook point (embed,
   * resid_pre.L, resid_post.L). `batch.ids` is then not read, lengths are.
   */
  readonly from?: { readonly at: HookPoint; readonly residual: Float32Array };
  readonly edits?: readonly Edit[];
  /** Hook points whose activations [B, T, D] are wanted (after edits at that point). */
  readonly taps: readonly HookPoint[];
  /** Positions of each row, ascending, at which the taps are wanted (all when left out); elsewhere a tap may hold anything finite. */
  readonly tapsAt?: readonly (readonly number[])[];
  /** `last`: [B, V] at the last real position of each row; `all`: [B, T, V]. The run stops at the last tap when `none`. */
  readonly logits: 'none' | 'last' | 'all';
  /** Dictionaries to read in the same run; their hook points are tapped inside the worker, only sparse codes come back. */
  readonly encode?: readonly DictionaryWeights[];
}

export interface ForwardResult {
  readonly taps: ReadonlyMap<HookPoint, Float32Array>;
  readonly logits: Float32Array | null;
  /** One per entry of `encode`, rows in order b·T + t; padded positions hold no entries. */
  readonly codes: readonly SparseCodes[];
}

/** The language model under study. All methods are safe to call concurrently; none blocks the event loop. */
export interface SubjectModel {
  readonly info: ModelInfo;
  /** Forward runs that make sense at once (workers). */
  readonly concurrency: number;
  forward(request: ForwardRequest): Promise<ForwardResult>;
  /** Rows of the unembedding [V, D], final layer norm's gain not applied. */
  unembedding(): Promise<Float32Array>;
  /** The final norm: its gain [D] (all ones where there is none), and whether it subtracts the mean (LayerNorm) or not (RMSNorm). */
  finalNorm(): Promise<{ readonly gain: Float32Array; readonly centres: boolean }>;
  close(): Promise<void>;
}

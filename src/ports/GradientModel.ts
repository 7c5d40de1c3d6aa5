import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { Edit, ForwardRequest, SubjectModel } from './SubjectModel.ts';

/** A linear function of what a run computes: Σ cotangent · activation; 0 at padded positions. */
export type Objective =
  | { readonly at: HookPoint; readonly cotangent: Float32Array } // [B, T, D]
  | { readonly at: 'logits'; readonly cotangent: Float32Array }; // [B, V], at the last real position of each row

export interface GradientRequest {
  readonly batch: TokenBatch;
  readonly from?: ForwardRequest['from'];
  /** As in a forward run; the derivative is taken at the edited activations. */
  readonly edits?: readonly Edit[];
  readonly of: Objective;
  /** Hook points, none before the start of the run or after `of.at`. */
  readonly wrt: readonly HookPoint[];
}

/** A model that can also be run backward. */
export interface GradientModel extends SubjectModel {
  /** ∂(objective)/∂(activation) at each point of `wrt`, [B, T, D], exact; padded positions are 0. One run forward and one backward. */
  gradient(request: GradientRequest): Promise<ReadonlyMap<HookPoint, Float32Array>>;
}

import { parseHookPoint, residualBoundary } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';

/**
 * A hook point in the one spelling spans are compiled with: `stream.i`, the residual stream after i layers (embed,
 * resid_pre.i and resid_post.(i-1) are all names of it), or a branch's output.
 */
export type Point = `stream.${number}` | `attn_out.${number}` | `mlp_out.${number}`;

/** Throws BAD_INPUT when `hook` is no hook point of a model with that many layers. */
export function pointOf(hook: HookPoint, layers: number): Point {
  const { kind, layer } = parseHookPoint(hook, layers);
  if (kind === 'attn_out' || kind === 'mlp_out') return `${kind}.${layer}`;
  return `stream.${residualBoundary(hook)!}`;
}

/** Order in which a run passes the points: 3i for the stream after i layers, then layer i's attention, then its MLP. */
export function depthOf(point: Point): number {
  const [kind, index] = point.split('.') as [string, string];
  return 3 * Number(index) + (kind === 'stream' ? 0 : kind === 'attn_out' ? 1 : 2);
}

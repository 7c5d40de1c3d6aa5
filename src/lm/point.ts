import { parseHookPoint, residualBoundary } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';

/**
 * A hook point in the one spelling spans are compiled with: `stream.i`, the residual stream after i layers (embed,
 * resid_pre.i and resid_post.(i-1) are all names of it), a branch's output, or the MLP's input.
 */
export type Point = `stream.${number}` | `${Branch}.${number}`;
type Branch = 'attn_out' | 'mlp_in' | 'mlp_out';

/** Places in one layer, in the order of a run. */
const PLACES = ['stream', 'attn_out', 'mlp_in', 'mlp_out'] as const;

/** Throws BAD_INPUT when `hook` is no hook point of a model with that many layers. */
export function pointOf(hook: HookPoint, layers: number): Point {
  const { kind, layer } = parseHookPoint(hook, layers);
  if (kind === 'attn_out' || kind === 'mlp_in' || kind === 'mlp_out') return `${kind}.${layer}`;
  return `stream.${residualBoundary(hook)!}`;
}

/** Order in which a run passes the points: the stream after i layers, then layer i's attention, its MLP's input, its MLP. */
export function depthOf(point: Point): number {
  const [kind, index] = point.split('.') as [(typeof PLACES)[number], string];
  return PLACES.length * Number(index) + PLACES.indexOf(kind);
}

/** Layers that must have run, from 0, before the point exists; of the stream after i layers: i. */
export function layersBefore(point: Point): number {
  return Math.ceil(depthOf(point) / PLACES.length);
}

/** The layer a point lies in; the stream after i layers lies in layer i, which reads it. */
export function layerOf(point: Point): number {
  return Math.floor(depthOf(point) / PLACES.length);
}

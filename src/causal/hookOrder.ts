import { parseHookPoint, residualBoundary } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';

/**
 * A number that grows in the order in which a forward pass computes hook points; equal for two names of the same
 * residual stream (`resid_post.1` = `resid_pre.2`). An edit at a point can only change what is read at greater ones,
 * except that with parallel branches (GPT-NeoX) attn_out.L reaches neither mlp_in.L nor mlp_out.L.
 */
export function hookOrder(hook: HookPoint): number {
  const boundary = residualBoundary(hook);
  if (boundary !== undefined) return 4 * boundary;
  const { kind, layer } = parseHookPoint(hook);
  return 4 * layer + (kind === 'attn_out' ? 1 : kind === 'mlp_in' ? 2 : 3);
}

/** The latest residual point at or before a hook point, under its usual name: where a run can start so that it still computes the point. */
export function startBefore(hook: HookPoint): HookPoint {
  const boundary = residualBoundary(hook) ?? parseHookPoint(hook).layer;
  return boundary === 0 ? 'embed' : `resid_post.${boundary - 1}`;
}

import { outputHookPointOf, type DictionaryConfig } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import { parseHookPoint, residualBoundary } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';

/**
 * A number that grows in the order in which a forward pass computes hook points; equal for two names of the same
 * residual stream (`resid_post.1` = `resid_pre.2`). An edit at a point can only change what is read at it and at greater ones,
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

/** One name for each point: that of `startBefore` for residual streams, which have several. */
export function usualName(hook: HookPoint): HookPoint {
  return residualBoundary(hook) === undefined ? hook : startBefore(hook);
}

/**
 * Where a dictionary's features are read and where editing them edits the model, under their usual names; the second is
 * another point for transcoders. Throws BAD_DICTIONARY unless it reads and writes vectors of `dModel` numbers and writes no
 * earlier than it reads.
 */
export function pointsOf(config: DictionaryConfig, dModel: number): { readonly read: HookPoint; readonly edit: HookPoint } {
  const { name, hookPoint, dIn, dOut } = config;
  if (dIn !== dModel || dOut !== dModel) {
    throw new CallerError('BAD_DICTIONARY', `dictionary ${name} reads vectors of ${dIn} numbers and writes ${dOut}, the model's have ${dModel}`);
  }
  const [read, edit] = [usualName(hookPoint), usualName(outputHookPointOf(config))];
  if (hookOrder(edit) < hookOrder(read)) {
    throw new CallerError('BAD_DICTIONARY', `dictionary ${name} reads at ${read} and writes at ${edit}, which comes before: expected a later point`);
  }
  return { read, edit };
}

import { CallerError } from './errors.ts';

/**
 * Where in the model activations are read or edited. `embed` is the residual stream before layer 0 (for GPT-2 it
 * includes the position embedding); `resid_pre.L` the stream entering layer L; `attn_out.L` and `mlp_out.L` what the
 * two branches of layer L add to it; `mlp_in.L` what the MLP of layer L receives, after its norm's gain and bias;
 * `resid_post.L` the stream leaving layer L. So `resid_pre.0` = `embed` and `resid_pre.(L+1)` = `resid_post.L`. Values are
 * those of the Hugging Face implementation: no weight folding, no centring. All are D wide.
 */
export type HookPoint = 'embed' | `${HookKind}.${number}`;
export type HookKind = 'resid_pre' | 'attn_out' | 'mlp_in' | 'mlp_out' | 'resid_post';

export const HOOK_KINDS: readonly HookKind[] = ['resid_pre', 'attn_out', 'mlp_in', 'mlp_out', 'resid_post'];

export interface ParsedHookPoint {
  readonly kind: 'embed' | HookKind;
  /** Layer from 0; 0 for `embed`. */
  readonly layer: number;
}

const PATTERN = /^(resid_pre|attn_out|mlp_in|mlp_out|resid_post)\.(0|[1-9]\d{0,3})$/;

/** Reads `resid_post.3`; throws BAD_INPUT when it is none, or beyond `layers` when that is given. */
export function parseHookPoint(text: string, layers?: number): ParsedHookPoint {
  if (text === 'embed') return { kind: 'embed', layer: 0 };
  const match = PATTERN.exec(text);
  if (match === null) {
    throw new CallerError(
      'BAD_INPUT',
      `"${text}" is no hook point: expected embed, or one of ${HOOK_KINDS.join(', ')} followed by .LAYER, e.g. resid_post.3`,
    );
  }
  const layer = Number(match[2]);
  if (layers !== undefined && layer >= layers) {
    throw new CallerError('BAD_INPUT', `hook point ${text}: the model has layers 0 to ${layers - 1}`);
  }
  return { kind: match[1] as HookKind, layer };
}

/** The same point in the one spelling used for computing: `embed` and `resid_pre.L` (L > 0) become the stream they name. */
export function residualBoundary(hook: HookPoint): number | undefined {
  // Boundary i is the residual stream after i layers: 0 = embed, i = resid_post.(i-1) = resid_pre.i.
  const { kind, layer } = parseHookPoint(hook);
  switch (kind) {
    case 'embed':
      return 0;
    case 'resid_pre':
      return layer;
    case 'resid_post':
      return layer + 1;
    default:
      return undefined;
  }
}

import { parseHookPoint, type HookPoint } from '../../domain/hookPoint.ts';
import { CallerError } from '../../domain/errors.ts';

/**
 * Hook points by the names of other libraries. Two things to know of TransformerLens' names:
 *  - With its default weight processing TransformerLens folds the gain of each norm into the next matrix and centres what is
 *    written to the residual stream, so on LayerNorm models (GPT-2, GPT-NeoX) its stream is x − mean(x), ours is x. Models
 *    with RMSNorm are not centred. placeForeign.ts folds the difference into a dictionary.
 *  - `ln2.hook_normalized` is after the norm's gain for a LayerNorm and before it for an RMSNorm or when the gain was folded,
 *    so the name alone does not say which values are meant.
 */

/** A hook of ours, or null where we have none for the name. */
export function fromTransformerLens(name: string): HookPoint | null {
  if (name === 'hook_embed') return 'embed';
  const match = /^blocks\.(\d+)\.hook_(resid_pre|resid_post|attn_out|mlp_out)$/.exec(name);
  return match === null ? null : known(match[2]!, match[1]!);
}

/** TransformerLens' name of a hook point, for a model loaded without weight processing. Throws UNSUPPORTED when it has none. */
export function toTransformerLens(hook: HookPoint, architecture: string): string {
  const { kind, layer } = parsed(hook);
  switch (kind) {
    case 'embed':
      return 'blocks.0.hook_resid_pre'; // hook_embed would leave out GPT-2's positions
    case 'mlp_in':
      if (architecture === 'llama') throw none('TransformerLens', hook, 'its ln2.hook_normalized lies before the gain of an RMSNorm');
      return `blocks.${layer}.ln2.hook_normalized`;
    case 'resid_pre':
    case 'resid_post':
    case 'attn_out':
    case 'mlp_out':
      return `blocks.${layer}.hook_${kind}`;
    default:
      throw none('TransformerLens', hook);
  }
}

const ATTENTION: Readonly<Record<string, string>> = { llama: 'self_attn', gpt_neox: 'attention', gpt2: 'attn' };
const EMBEDDING: Readonly<Record<string, string>> = { llama: 'embed_tokens', gpt_neox: 'embed_in' };

/**
 * The hook point at a Hugging Face module's output (or, for what a transcoder reads, its input), e.g. `layers.5.mlp`, with or
 * without the prefix of the model class. Null where we have none.
 */
export function fromModulePath(path: string, side: 'input' | 'output'): HookPoint | null {
  const bare = path.replace(/^(?:(?:base_model|model|transformer|gpt_neox|language_model)\.)+/, '');
  if (/^(?:embed_tokens|embed_in|wte)$/.test(bare)) return side === 'output' ? 'embed' : null;
  const match = /^(?:layers|h)\.(\d+)(?:\.(\w+))?$/.exec(bare);
  if (match === null) return null;
  const [, layer, part] = match;
  switch (part) {
    case undefined:
      return known(side === 'output' ? 'resid_post' : 'resid_pre', layer!);
    case 'mlp':
      return known(side === 'output' ? 'mlp_out' : 'mlp_in', layer!);
    case 'self_attn':
    case 'attention':
    case 'attn':
      return side === 'output' ? known('attn_out', layer!) : null;
    case 'post_attention_layernorm':
    case 'ln_2':
      return side === 'output' ? known('mlp_in', layer!) : null;
    default:
      return null;
  }
}

/** The Hugging Face module whose output lies at a hook point, relative to the base model, as sparsify writes it. Throws UNSUPPORTED when there is none. */
export function toModulePath(hook: HookPoint, architecture: string): string {
  const { kind, layer } = parsed(hook);
  const layers = architecture === 'gpt2' ? 'h' : 'layers';
  if (kind === 'embed' || (kind === 'resid_pre' && layer === 0)) {
    const name = EMBEDDING[architecture];
    if (name === undefined) throw none('Hugging Face', hook, "no module's output is the stream with positions added");
    return name;
  }
  switch (kind) {
    case 'resid_pre':
      return `${layers}.${layer - 1}`;
    case 'resid_post':
      return `${layers}.${layer}`;
    case 'mlp_out':
      return `${layers}.${layer}.mlp`;
    case 'attn_out':
      return `${layers}.${layer}.${ATTENTION[architecture] ?? 'self_attn'}`;
    case 'mlp_in':
      return `${layers}.${layer}.${architecture === 'gpt2' ? 'ln_2' : 'post_attention_layernorm'}`;
    default:
      throw none('Hugging Face', hook);
  }
}

/** `kind.layer` where that is a hook point of ours. */
export function known(kind: string, layer: string | number): HookPoint | null {
  const text = `${kind}.${Number(layer)}`;
  try {
    parseHookPoint(text);
    return text as HookPoint;
  } catch {
    return null;
  }
}

function parsed(hook: HookPoint): { kind: string; layer: number } {
  return parseHookPoint(hook);
}

function none(library: string, hook: HookPoint, why?: string): CallerError {
  return new CallerError('UNSUPPORTED', `${library} has no name for the hook point ${hook}${why === undefined ? '' : `: ${why}`}; choose another format`);
}

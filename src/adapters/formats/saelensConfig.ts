import { CallerError } from '../../domain/errors.ts';
import type { HookPoint } from '../../domain/hookPoint.ts';
import { badForeign } from './foreign.ts';
import { fromModulePath, fromTransformerLens } from './hookNames.ts';
import { JsonObject } from './jsonObject.ts';
import { LEGACY_IRRELEVANT, LEGACY_RENAMED, METADATA_KEYS, V6_IRRELEVANT, V6_UNDERSTOOD, LEGACY_UNDERSTOOD } from './saelensKeys.ts';

/** Architectures of SAELens that have our form. */
export const SAELENS_ARCHITECTURES = ['standard', 'topk', 'jumprelu', 'gated', 'transcoder', 'skip_transcoder', 'jumprelu_transcoder', 'jumprelu_skip_transcoder'] as const;
export type SaelensArchitecture = (typeof SAELENS_ARCHITECTURES)[number];

/** What cfg.json of a SAELens folder says, in version 6's terms. */
export interface SaelensConfig {
  readonly architecture: SaelensArchitecture;
  readonly dIn: number;
  readonly dOut: number;
  /** Null: very old files leave it to the weights. */
  readonly dSae: number | null;
  readonly k: number | null;
  readonly centresInput: boolean;
  /** Codes are h·‖W_dec row‖ and rows are divided by that norm on the way out. */
  readonly rescalesByDecoderNorm: boolean;
  /** Activations were multiplied by a factor in training that may not be in the weights. */
  readonly needsNormFactor: boolean;
  /** A scaling_factor tensor that is not all ones belongs to the decoder. */
  readonly finetuned: boolean;
  readonly model: string | null;
  readonly hook: { readonly point: HookPoint | null; readonly output: HookPoint | null; readonly said: string };
  /** As ForeignDictionary.centred. */
  readonly centred: boolean | null;
  readonly dtype: string | null;
  readonly notes: readonly string[];
}

/** Throws BAD_DICTIONARY for what is missing, unknown or contradictory, UNSUPPORTED for what SAELens computes and our form cannot. */
export function readSaelensConfig(file: JsonObject): SaelensConfig {
  const legacy = isLegacy(file);
  const cfg = legacy ? modernised(file) : file;
  cfg.refuseUnknown(legacy ? new Set([...V6_UNDERSTOOD, ...LEGACY_UNDERSTOOD, ...METADATA_KEYS, ...LEGACY_IRRELEVANT, ...V6_IRRELEVANT]) : new Set([...V6_UNDERSTOOD, ...V6_IRRELEVANT]));
  // Old files have no metadata object: what it holds lies at the top.
  const metadata = legacy ? cfg : cfg.object('metadata');
  const notes: string[] = legacy ? ['cfg.json is of SAELens before 6.0; its defaults of that time were taken'] : [];
  const unknown = legacy ? [] : Object.keys(metadata.fields).filter((key) => !METADATA_KEYS.has(key));
  if (unknown.length > 0) notes.push(`metadata keys we do not know were left aside: ${unknown.join(', ')}`);

  const architecture = architectureOf(cfg);
  const transcoder = architecture.endsWith('transcoder');
  const dIn = cfg.integer('d_in', 1);
  const dOut = transcoder ? cfg.integer('d_out', 1) : dIn;
  const dtype = dtypeOf(cfg);
  const normalisation = normalisationOf(cfg);
  refuseReshaped(cfg, metadata);
  const centresInput = cfg.boolean('apply_b_dec_to_input', !transcoder);
  if (transcoder && centresInput) throw badForeign(cfg.where, `apply_b_dec_to_input is true in a ${architecture}, which SAELens itself refuses; expected false`);
  const rescalesByDecoderNorm = cfg.boolean('rescale_acts_by_decoder_norm', false);
  if (rescalesByDecoderNorm && architecture !== 'topk') throw badForeign(cfg.where, `rescale_acts_by_decoder_norm is true in architecture ${architecture}; SAELens has it for topk alone`);
  return {
    architecture, dIn, dOut, centresInput, rescalesByDecoderNorm, dtype, notes,
    dSae: cfg.has('d_sae') ? cfg.integer('d_sae', 1) : null,
    k: architecture === 'topk' ? cfg.integer('k', 1) : null,
    needsNormFactor: normalisation === 'expected_average_only_in',
    finetuned: legacy && cfg.boolean('finetuning_scaling_factor', false),
    model: metadata.textOrNull('model_name'),
    hook: hookOf(metadata, transcoder),
    centred: centredOf(metadata),
  };
}

/** SAELens' own rule: no version, or one before 6. */
function isLegacy(file: JsonObject): boolean {
  const version = file.textOrNull('sae_lens_version') ?? file.object('metadata').textOrNull('sae_lens_version');
  return version === null || majorOf(version) < 6;
}

function majorOf(version: string): number {
  return Number(/^v?(\d+)/.exec(version)?.[1] ?? Number.NaN);
}

/** A flat config of earlier versions by the names of version 6, with the defaults it had. */
function modernised(file: JsonObject): JsonObject {
  // fromEntries, not assignment: a key such as __proto__ stays a key, and unknown.
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(file.fields).map(([key, value]) => [LEGACY_RENAMED.get(key) ?? key, value]));
  const { normalize_activations: normalise, activation_fn: activation = 'relu', activation_fn_kwargs: given } = fields;
  if (typeof normalise === 'boolean') fields['normalize_activations'] = normalise ? 'expected_average_only_in' : 'none';
  const kwargs = new JsonObject(`${file.where} activation_fn_kwargs`, typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {});
  kwargs.refuseUnknown(new Set(['k', 'signed']));
  if (kwargs.boolean('signed', false)) throw new CallerError('UNSUPPORTED', `${file.where}: activation_fn_kwargs.signed: codes below 0 have no place in our form`);
  if (activation === 'topk') {
    fields['architecture'] = 'topk';
    fields['k'] ??= kwargs.fields['k'];
  } else if (activation !== 'relu' && activation !== null) {
    throw new CallerError('UNSUPPORTED', `${file.where}: activation_fn ${JSON.stringify(activation)}; expected relu or topk`);
  }
  fields['architecture'] ??= 'standard';
  fields['apply_b_dec_to_input'] ??= true;
  if (typeof fields['hook_name'] === 'string' && fields['hook_name'].includes('hook_z')) fields['reshape_activations'] ??= 'hook_z';
  return new JsonObject(file.where, fields);
}

function architectureOf(cfg: JsonObject): SaelensArchitecture {
  const name = cfg.text('architecture');
  const found = SAELENS_ARCHITECTURES.find((known) => known === name);
  if (found !== undefined) return found;
  const why = name === 'batchtopk' || name === 'matryoshka_batchtopk' ? ': this is a training checkpoint; SAELens writes these for use as jumprelu (save_inference_model)' : '';
  throw new CallerError('UNSUPPORTED', `${cfg.where}: architecture "${name}"${why}; expected one of ${SAELENS_ARCHITECTURES.join(', ')}`);
}

function dtypeOf(cfg: JsonObject): string | null {
  const dtype = cfg.textOrNull('dtype');
  if (dtype === null) return null;
  const bare = dtype.replace(/^torch\./, '');
  if (!['float32', 'float64', 'float16', 'bfloat16'].includes(bare)) throw badForeign(cfg.where, `dtype must be float32, float64, float16 or bfloat16, found ${JSON.stringify(dtype)}`);
  return bare;
}

function normalisationOf(cfg: JsonObject): 'none' | 'expected_average_only_in' {
  const name = cfg.textOrNull('normalize_activations') ?? 'none';
  if (name === 'none' || name === 'expected_average_only_in') return name;
  if (['layer_norm', 'constant_norm_rescale', 'covariance_whitening'].includes(name)) {
    const why = name === 'covariance_whitening' ? 'the whitening was not folded into the weights: let SAELens fold it and save again' : 'it divides each vector by its own norm, which fixed weights cannot do';
    throw new CallerError('UNSUPPORTED', `${cfg.where}: normalize_activations ${name}: ${why}`);
  }
  throw badForeign(cfg.where, `normalize_activations must be none or expected_average_only_in, found ${JSON.stringify(name)}`);
}

function refuseReshaped(cfg: JsonObject, metadata: JsonObject): void {
  const reshape = cfg.textOrNull('reshape_activations') ?? 'none';
  if (reshape !== 'none') {
    throw new CallerError('UNSUPPORTED', `${cfg.where}: reshape_activations ${reshape}: it reads attention heads before the output projection (${metadata.textOrNull('hook_name') ?? 'hook_z'}), where we have no hook point`);
  }
  for (const key of ['hook_head_index', 'hook_head_index_out']) {
    if (metadata.has(key)) throw new CallerError('UNSUPPORTED', `${metadata.where}: ${key} ${String(metadata.fields[key])}: it reads a single attention head, where we have no hook point`);
  }
}

function hookOf(metadata: JsonObject, transcoder: boolean): SaelensConfig['hook'] {
  const byModule = metadata.textOrNull('model_class_name') === 'AutoModelForCausalLM';
  const read = (key: string): { name: string | null; point: HookPoint | null } => {
    const name = metadata.textOrNull(key);
    return { name, point: name === null ? null : byModule ? fromModulePath(name, 'output') : fromTransformerLens(name) };
  };
  const input = read('hook_name');
  const output = transcoder ? read('hook_name_out') : { name: null, point: null };
  const layer = /^blocks\.(\d+)\.ln2\.hook_normalized$/.exec(input.name ?? '')?.[1];
  const hint = layer === undefined ? '' : ` (which is mlp_in.${layer} if the model has LayerNorm and its norms were not folded)`;
  return { point: input.point, output: output.point, said: `${saidOf(input.name, output.name, transcoder)}${hint}` };
}

function saidOf(input: string | null, output: string | null, transcoder: boolean): string {
  return transcoder ? `${input ?? 'nothing'} to ${output ?? 'nothing'}` : (input ?? 'nothing');
}

/**
 * Whether TransformerLens centred the stream this was trained on. Since version 6 SAELens loads models without weight
 * processing unless it is asked for in model_from_pretrained_kwargs; before, that differed, so only the key itself tells.
 */
function centredOf(metadata: JsonObject): boolean | null {
  if (metadata.textOrNull('model_class_name') === 'AutoModelForCausalLM') return false;
  const kwargs = metadata.object('model_from_pretrained_kwargs');
  if (kwargs.has('center_writing_weights')) return kwargs.boolean('center_writing_weights');
  const trainedBy = metadata.textOrNull('sae_lens_training_version');
  return trainedBy !== null && majorOf(trainedBy) >= 6 ? false : null;
}

import { dictionaryName } from '../../domain/address.ts';
import type { DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError } from '../../domain/errors.ts';
import { parseHookPoint, type HookPoint } from '../../domain/hookPoint.ts';
import type { ModelInfo } from '../../domain/model.ts';
import type { ForeignDictionary } from './foreign.ts';
import { rowsOnCentred } from './linearFolds.ts';

/** Where somebody's dictionary goes, and what the user says that its files do not. */
export interface Placement {
  readonly model: Pick<ModelInfo, 'name' | 'architecture' | 'layers' | 'dModel'>;
  /** Whether the model's norms subtract the mean (LayerNorm) or not (RMSNorm). */
  readonly centres: boolean;
  /** Last part of the name, {layer}-{set}. */
  readonly set: string;
  /** Hook points for those of the files; null = as the files say. */
  readonly hook: HookPoint | null;
  readonly output: HookPoint | null;
  /** Whether it was trained on x − mean(x); null = as the files say. */
  readonly centred: boolean | null;
  /** Take it although the files name another model or hook point. */
  readonly force: boolean;
  /** Key of the run that imports it. */
  readonly run: string;
}

/**
 * A foreign dictionary as one of a model's. Nothing is guessed: what neither the files nor the user say is an error.
 *
 * TransformerLens centres the streams of LayerNorm models unless told not to, so a dictionary may have been trained on
 * x − mean(x) = x·P, P = I − 11ᵀ/D. As our x is not centred, P goes into what reads x: encoder·P, skip·P. Its reconstruction stays
 * without a mean, which the model's own norms would remove; FVU, which compares with x, counts it.
 *
 * @throws CallerError BAD_DICTIONARY (its widths are not the model's), BAD_INPUT (something must be said, or contradicts the files).
 */
export function placeForeign(found: ForeignDictionary, into: Placement): { weights: DictionaryWeights; notes: readonly string[] } {
  const { model, set, run } = into;
  const { architecture, k, dIn, dOut, nFeatures, inputScale, outputScale } = found;
  const what = found.label === '' ? 'the dictionary' : `dictionary ${found.label}`;
  const notes = [...found.notes, ...modelNotes(found, into)];
  const transcoder = found.transcoder ?? found.hook.output !== null;
  const hookPoint = pointOf(found.hook.point, into.hook, '--hook', found, into, what);
  const outputHookPoint = transcoder ? pointOf(found.hook.output, into.output, '--output-hook', found, into, what) : null;
  if (!transcoder && into.output !== null) throw new CallerError('BAD_INPUT', `${what} is no transcoder: leave --output-hook out`);
  for (const [hook, width, verb] of [[hookPoint, dIn, 'reads'], [outputHookPoint ?? hookPoint, dOut, 'writes']] as const) {
    if (width !== model.dModel) throw new CallerError('BAD_DICTIONARY', `${what} ${verb} ${width} numbers, but ${hook} of ${model.name} has ${model.dModel}: it belongs to another model or hook point`);
  }
  if (hookPoint === 'embed' && into.hook === null && model.architecture === 'gpt2') {
    throw new CallerError('BAD_INPUT', `${what} reads ${found.hook.said}, which in ${model.name} is without positions; our embed has them added. Give --hook embed if it was trained on the sum`);
  }

  let parameters = found.parameters;
  if (isCentred(found, into, hookPoint, what)) {
    parameters = { ...parameters, encoder: rowsOnCentred(parameters.encoder, dIn), skip: parameters.skip === null ? null : rowsOnCentred(parameters.skip, dIn) };
    notes.push('it was trained on x − mean(x): the subtraction was folded into the encoder; reconstructions have mean 0, which the model ignores and FVU counts');
  }
  const { kind, layer } = parseHookPoint(hookPoint);
  const name = dictionaryName(layer, `${kind === 'resid_post' ? '' : `${kind}-`}${set}`);
  return {
    weights: {
      config: { formatVersion: 1, name, model: model.name, hookPoint, outputHookPoint, architecture, dIn, dOut, nFeatures, k, l1: null, inputScale, outputScale, weightsHash: '', run },
      ...parameters,
    },
    notes,
  };
}

function pointOf(said: HookPoint | null, given: HookPoint | null, option: string, found: ForeignDictionary, { model, force }: Placement, what: string): HookPoint {
  const point = given ?? said;
  if (point === null) throw new CallerError('BAD_INPUT', `${what}: where it belongs cannot be told from its files, which say ${found.hook.said}; give ${option}, e.g. ${option} resid_post.3`);
  if (given !== null && said !== null && given !== said && !force) throw new CallerError('BAD_INPUT', `${what}: ${option} says ${given}, its files say ${said} (${found.hook.said}); leave ${option} out, or add --force`);
  parseHookPoint(point, model.layers);
  return point;
}

/** Names under which the same weights are known. */
const ALIASES: Readonly<Record<string, string>> = { 'gpt2-small': 'gpt2' };

function modelNotes(found: ForeignDictionary, { model, force }: Placement): string[] {
  if (found.model === null) return ['its files do not say of which model it is'];
  const bare = (name: string): string => {
    const last = name.toLowerCase().split('/').at(-1)!;
    return ALIASES[last] ?? last;
  };
  if (bare(found.model) === bare(model.name)) return [];
  if (!force) throw new CallerError('BAD_INPUT', `its files say that it is of the model ${found.model}, not of ${model.name}: choose that model, or add --force if they are the same weights`);
  return [`its files name the model ${found.model}`];
}

function isCentred(found: ForeignDictionary, { centres, centred, model }: Placement, hookPoint: HookPoint, what: string): boolean {
  const said = found.centred === undefined ? false : found.centred;
  if (!centres) {
    if (centred === true) throw new CallerError('BAD_INPUT', `--centred yes: ${model.name} has RMSNorm, whose stream TransformerLens does not centre; leave it out`);
    return false;
  }
  // What a norm gives out is the same whether or not its input was centred.
  if (parseHookPoint(hookPoint).kind === 'mlp_in') return centred ?? false;
  const answer = centred ?? said;
  if (answer === null) {
    throw new CallerError(
      'BAD_INPUT',
      `${what}: whether it was trained on centred activations cannot be known from its files: TransformerLens subtracts the mean from the stream of ${model.name} unless center_writing_weights is false, and model_from_pretrained_kwargs does not say. ` +
        'Give --centred yes (trained with HookedTransformer.from_pretrained) or --centred no (from_pretrained_no_processing, or Hugging Face)',
    );
  }
  return answer;
}

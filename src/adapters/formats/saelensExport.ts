import { join } from 'node:path';
import type { DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError } from '../../domain/errors.ts';
import { parseHookPoint } from '../../domain/hookPoint.ts';
import type { ForeignTensor } from './foreign.ts';
import { writeForeignFile } from './foreignFiles.ts';
import { toTransformerLens } from './hookNames.ts';
import { scaled, transposed } from './linearFolds.ts';
import type { SaelensArchitecture } from './saelensConfig.ts';
import { writeSafetensors } from './safetensorsWrite.ts';

/** Of the model a dictionary belongs to, what other libraries' configs say. */
export interface ExportedModel {
  /** `model_type` of its config.json. */
  readonly architecture: string;
  /** Hub id, or the catalog's name. */
  readonly name: string;
}

/**
 * Writes a folder that SAELens 6 loads (SAE.load_from_disk) with the same codes and reconstructions on raw activations. Scales go
 * into the weights, so normalize_activations is none; nothing is subtracted from the input, as our bias holds that already.
 * Thresholds (BatchTopK's, a gate's) become jumprelu, k becomes topk, anything else standard; transcoders likewise.
 * Throws UNSUPPORTED for k together with thresholds, a linear path or another output, for which SAELens has no class.
 */
export async function writeSaelens(folder: string, weights: DictionaryWeights, model: ExportedModel): Promise<void> {
  const { config, encoder, encoderBias, decoder, decoderBias, threshold, skip } = weights;
  const { dIn: D, dOut, nFeatures: F, k, inputScale, outputScale, hookPoint, outputHookPoint } = config;
  const architecture = architectureOf(weights);
  const transcoder = architecture.endsWith('transcoder');
  const tensors = new Map<string, ForeignTensor>([
    ['W_dec', { shape: [F, dOut], data: scaled(decoder, outputScale) }],
    ['W_enc', { shape: [D, F], data: transposed(scaled(encoder, 1 / inputScale), F, D) }],
    ['b_dec', { shape: [dOut], data: scaled(decoderBias, outputScale) }],
    ['b_enc', { shape: [F], data: encoderBias }],
  ]);
  if (skip !== null) tensors.set('W_skip', { shape: [dOut, D], data: scaled(skip, outputScale / inputScale) });
  if (threshold !== null) tensors.set('threshold', { shape: [F], data: threshold });
  const cfg = {
    d_in: D, d_sae: F, dtype: 'float32', device: 'cpu', apply_b_dec_to_input: false, normalize_activations: 'none', reshape_activations: 'none',
    ...(architecture === 'topk' ? { k, rescale_acts_by_decoder_norm: false } : {}),
    ...(transcoder ? { d_out: dOut } : {}),
    metadata: {
      sae_lens_version: '6.0.0', // of the format; without it this is read as a config from before 6
      made_by: 'feature-catalog',
      dictionary: config.name,
      model_name: model.name,
      hook_name: toTransformerLens(hookPoint, model.architecture),
      hook_head_index: null,
      ...(transcoder ? { hook_name_out: toTransformerLens(outputHookPoint ?? hookPoint, model.architecture), hook_head_index_out: null } : {}),
      // Our activations are those of the model as published.
      model_from_pretrained_kwargs: { center_writing_weights: false, fold_ln: false },
      hook_layer: parseHookPoint(hookPoint).layer,
    },
    architecture,
  };
  await writeSafetensors(join(folder, 'sae_weights.safetensors'), tensors);
  await writeForeignFile(join(folder, 'cfg.json'), [Buffer.from(`${JSON.stringify(cfg, null, 2)}\n`)]);
}

function architectureOf({ config: { name, k, outputHookPoint }, threshold, skip }: DictionaryWeights): SaelensArchitecture {
  if (k !== null) {
    const also = threshold !== null ? 'thresholds' : skip !== null ? 'a linear path' : outputHookPoint !== null ? 'another output' : null;
    if (also !== null) throw new CallerError('UNSUPPORTED', `${name} has k together with ${also}, for which SAELens has no class; choose another format`);
    return 'topk';
  }
  if (skip !== null) return threshold === null ? 'skip_transcoder' : 'jumprelu_skip_transcoder';
  if (outputHookPoint !== null) return threshold === null ? 'transcoder' : 'jumprelu_transcoder';
  return threshold === null ? 'standard' : 'jumprelu';
}

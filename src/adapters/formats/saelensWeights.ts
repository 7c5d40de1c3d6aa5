import type { DictionaryArchitecture } from '../../domain/dictionary.ts';
import { badForeign, type ForeignDictionary } from './foreign.ts';
import { biasWithCentre, foldedGate, rowNorms, scaledRows, transposed } from './linearFolds.ts';
import type { SaelensArchitecture, SaelensConfig } from './saelensConfig.ts';
import type { SafetensorsFile } from './safetensors.ts';

/** The family of ours each belongs to. */
export const SAELENS_FAMILY: Readonly<Record<SaelensArchitecture, DictionaryArchitecture>> = {
  standard: 'untied',
  topk: 'topk',
  jumprelu: 'jumprelu',
  gated: 'gated',
  transcoder: 'untied',
  skip_transcoder: 'untied',
  jumprelu_transcoder: 'jumprelu',
  jumprelu_skip_transcoder: 'jumprelu',
};

/** Tensors beside W_enc, W_dec and b_dec. */
const TENSORS: Readonly<Record<SaelensArchitecture, readonly string[]>> = {
  standard: ['b_enc'],
  topk: ['b_enc'],
  jumprelu: ['b_enc', 'threshold'],
  gated: ['b_gate', 'b_mag', 'r_mag'],
  transcoder: ['b_enc'],
  skip_transcoder: ['b_enc', 'W_skip'],
  jumprelu_transcoder: ['b_enc', 'threshold'],
  jumprelu_skip_transcoder: ['b_enc', 'threshold', 'W_skip'],
};

/**
 * SAELens' tensors in our form. Its W_enc is [d_in, d_sae], W_dec [d_sae, d_out], W_skip [d_out, d_in]. Folded: the centre b_dec
 * where it is subtracted from the input, the gate into thresholds, decoder norms into encoder and decoder, an old scaling factor
 * into the decoder.
 */
export function foldedWeights({ tensors, dtypes }: SafetensorsFile, config: SaelensConfig, file: string): { parameters: ForeignDictionary['parameters']; nFeatures: number; notes: string[] } {
  const { architecture, dIn: D, dOut } = config;
  const names = ['W_enc', 'W_dec', 'b_dec', ...TENSORS[architecture]];
  const missing = names.filter((name) => !tensors.has(name));
  if (missing.length > 0) throw badForeign(file, `a ${architecture} needs the tensors ${names.join(', ')}; missing ${missing.join(', ')}, found ${[...tensors.keys()].join(', ')}`);
  const unknown = [...tensors.keys()].filter((name) => !names.includes(name) && name !== 'scaling_factor');
  if (unknown.length > 0) throw badForeign(file, `tensors ${unknown.join(', ')} are none of a ${architecture} (${names.join(', ')}): the architecture in cfg.json may be wrong`);
  const F = config.dSae ?? tensors.get('W_dec')!.shape[0]!;
  const take = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name)!;
    if (tensor.shape.join() !== shape.join()) throw badForeign(file, `${name} has shape [${tensor.shape.join(', ')}], expected [${shape.join(', ')}] by cfg.json`);
    return tensor.data;
  };
  const notes = dtypeNotes(dtypes, config.dtype);

  let encoder = transposed(take('W_enc', [D, F]), D, F);
  let decoder = take('W_dec', [F, dOut]);
  const decoderBias = take('b_dec', [dOut]);
  let encoderBias: Float32Array;
  let threshold: Float32Array | null = null;
  if (architecture === 'gated') {
    ({ encoder, encoderBias, threshold } = foldedGate({ encoder, rMag: take('r_mag', [F]), gateBias: take('b_gate', [F]), magBias: take('b_mag', [F]) }));
  } else {
    encoderBias = take('b_enc', [F]);
    // A threshold below 0 does nothing: codes are also at least 0.
    if (tensors.has('threshold')) threshold = take('threshold', [F]).map((theta) => Math.max(0, theta));
  }
  if (config.centresInput) encoderBias = biasWithCentre(encoderBias, encoder, decoderBias);
  if (config.rescalesByDecoderNorm) {
    const norms = rowNorms(decoder, dOut);
    const zero = norms.indexOf(0);
    if (zero >= 0) throw badForeign(file, `rescale_acts_by_decoder_norm divides by the norm of each row of W_dec, and row ${zero} is all zeros`);
    encoder = scaledRows(encoder, norms);
    encoderBias = encoderBias.map((b, j) => b * norms[j]!);
    decoder = scaledRows(decoder, norms.map((norm) => 1 / norm));
  }
  if (tensors.has('scaling_factor')) {
    const factors = take('scaling_factor', [F]);
    if (factors.some((factor) => Math.abs(factor - 1) > 1e-5)) {
      if (!config.finetuned) throw badForeign(file, 'scaling_factor is not all ones, but finetuning_scaling_factor in cfg.json is not true: whether codes are multiplied by it cannot be known');
      decoder = scaledRows(decoder, factors);
      notes.push('scaling_factor of a finetuning was folded into the decoder');
    }
  }
  return { parameters: { encoder, encoderBias, threshold, decoder, decoderBias, skip: tensors.has('W_skip') ? take('W_skip', [dOut, D]) : null }, nFeatures: F, notes };
}

function dtypeNotes(dtypes: ReadonlyMap<string, string>, said: string | null): string[] {
  const found = new Set(dtypes.values());
  const notes = found.has('F64') ? ['float64 tensors were rounded to float32'] : [];
  const bits: Readonly<Record<string, string>> = { float32: 'F32', float64: 'F64', float16: 'F16', bfloat16: 'BF16' };
  const expected = bits[said ?? ''];
  if (expected !== undefined && [...found].some((dtype) => dtype !== expected)) notes.push(`cfg.json says dtype ${said}, the weights are ${[...found].join(', ')}: taken as they are in the file`);
  return notes;
}

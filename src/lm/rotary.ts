import { CallerError } from '../domain/errors.ts';
import type { ConfigReader } from './configReader.ts';

/** Rotary position embedding: which part of a head turns, and by which angles. */
export interface Rotary {
  /** Dimensions of a head that turn; even. The rest pass through. */
  readonly dim: number;
  /** Cosines and sines [contextLength, dim / 2]. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Reads rotary options from the places Hugging Face has kept them: `rope_parameters` (transformers 5), or `rope_scaling`
 * beside `rope_theta` and the architecture's own names. Angles are computed in float32 steps, as the reference does, since
 * at position 2000 the last bit of a frequency is visible.
 */
export function readRotary(
  config: ConfigReader,
  options: { readonly headDim: number; readonly contextLength: number; readonly theta: number; readonly share: number },
): Rotary {
  const { headDim, contextLength } = options;
  const parameters = config.object('rope_parameters') ?? config.object('rope_scaling');
  const theta = parameters?.number('rope_theta', options.theta) ?? options.theta;
  const share = parameters?.number('partial_rotary_factor', options.share) ?? options.share;
  const type = parameters?.text('rope_type', parameters.has('type') ? parameters.text('type') : 'default') ?? 'default';
  const dim = Math.floor(headDim * share);
  if (dim < 2 || dim % 2 !== 0 || dim > headDim) {
    throw new CallerError(
      'BAD_MODEL_FILE',
      `config.json: rotary share ${share} of head size ${headDim} gives ${dim} rotating dimensions, expected an even number from 2 to ${headDim}`,
    );
  }
  let frequencies = inverseFrequencies(theta, dim);
  if (type === 'linear') {
    const factor = parameters!.number('factor');
    frequencies = frequencies.map((frequency) => frequency / factor);
  } else if (type === 'llama3') {
    frequencies = llama3Frequencies(frequencies, parameters!);
  } else if (type !== 'default') {
    throw new CallerError('UNSUPPORTED', `config.json: rope_type "${type}" is not supported, expected default, linear or llama3`);
  }
  return { dim, ...tables(frequencies, contextLength) };
}

/** theta^(-2i/dim), i < dim/2, rounded to float32 after each step. */
function inverseFrequencies(theta: number, dim: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, i) => {
    const power = Math.fround(Math.pow(theta, Math.fround((2 * i) / dim)));
    return 1 / power;
  });
}

/** Llama 3.1's rule: long wavelengths are stretched by `factor`, short ones kept, those between interpolated. */
function llama3Frequencies(frequencies: Float32Array, parameters: ConfigReader): Float32Array {
  const factor = parameters.number('factor');
  const low = parameters.number('low_freq_factor');
  const high = parameters.number('high_freq_factor');
  const original = parameters.number('original_max_position_embeddings');
  return frequencies.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength > original / low) return frequency / factor;
    if (wavelength < original / high) return frequency;
    const smooth = (original / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

function tables(frequencies: Float32Array, positions: number): { cos: Float32Array; sin: Float32Array } {
  const width = frequencies.length;
  const cos = new Float32Array(positions * width);
  const sin = new Float32Array(positions * width);
  for (let t = 0; t < positions; t++) {
    for (let i = 0; i < width; i++) {
      const angle = Math.fround(t * frequencies[i]);
      cos[t * width + i] = Math.cos(angle);
      sin[t * width + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

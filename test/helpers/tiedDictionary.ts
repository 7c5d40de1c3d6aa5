import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { Rng } from '../../src/math/rng.ts';

/** A tied dictionary of random unit-norm directions; `bias` makes it sparse (activations in units of x / inputScale). */
export function tiedDictionary(name: string, hookPoint: HookPoint, dIn: number, nFeatures: number, options: { seed: number; bias: number; inputScale?: number }): DictionaryWeights {
  const rng = Rng.derive(options.seed, name);
  const rows = new Float32Array(nFeatures * dIn);
  for (let j = 0; j < nFeatures; j++) {
    const row = Float64Array.from({ length: dIn }, () => rng.normal());
    const norm = Math.hypot(...row);
    for (let q = 0; q < dIn; q++) rows[j * dIn + q] = row[q] / norm;
  }
  return {
    config: {
      formatVersion: 1, name, model: 'tiny', hookPoint, outputHookPoint: null, architecture: 'tied', dIn, dOut: dIn, nFeatures, k: null, l1: null,
      inputScale: options.inputScale ?? 1, outputScale: options.inputScale ?? 1, weightsHash: `test-${name}-${options.seed}`, run: 'test',
    },
    encoder: rows,
    encoderBias: new Float32Array(nFeatures).fill(options.bias),
    threshold: null,
    decoder: rows,
    decoderBias: new Float32Array(dIn),
    skip: null,
  };
}

/** A perfect dictionary: an orthonormal basis and its negative, so that x = Σ c_j f_j for every x. F = 2D. */
export function perfectDictionary(name: string, hookPoint: HookPoint, dIn: number, seed: number, inputScale = 1): DictionaryWeights {
  const rng = Rng.derive(seed, name);
  const basis: Float64Array[] = [];
  while (basis.length < dIn) {
    const row = Float64Array.from({ length: dIn }, () => rng.normal());
    for (const other of basis) {
      const dot = row.reduce((sum, v, q) => sum + v * other[q], 0);
      for (let q = 0; q < dIn; q++) row[q] -= dot * other[q];
    }
    const norm = Math.hypot(...row);
    if (norm > 1e-3) basis.push(row.map((v) => v / norm));
  }
  const rows = new Float32Array(2 * dIn * dIn);
  basis.forEach((row, j) => {
    rows.set(row, j * dIn);
    rows.set(row.map((v) => -v), (dIn + j) * dIn);
  });
  const plain = tiedDictionary(name, hookPoint, dIn, 2 * dIn, { seed, bias: 0, inputScale });
  return { ...plain, encoder: rows, decoder: rows };
}

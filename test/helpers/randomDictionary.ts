import type { DictionaryArchitecture, DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { Rng } from '../../src/math/rng.ts';

export interface RandomOptions {
  readonly seed: number;
  readonly architecture?: DictionaryArchitecture;
  /** Mean of the encoder's bias; it spreads by 0.1. */
  readonly bias?: number;
  /** Greatest threshold; they are uniform below it. */
  readonly threshold?: number;
  readonly k?: number;
  readonly inputScale?: number;
  /** A transcoder that writes here. */
  readonly outputHookPoint?: HookPoint;
  readonly outputScale?: number;
  readonly skip?: boolean;
}

/** A dictionary with an encoder and a decoder of their own, unit-norm rows, and whatever else the form allows. */
export function randomDictionary(name: string, hookPoint: HookPoint, width: number, nFeatures: number, options: RandomOptions): DictionaryWeights {
  const rng = Rng.derive(options.seed, name);
  const normal = (n: number, deviation = 1): Float32Array => Float32Array.from({ length: n }, () => deviation * rng.normal());
  const rows = (): Float32Array => {
    const drawn = normal(nFeatures * width);
    for (let j = 0; j < nFeatures; j++) {
      const row = drawn.subarray(j * width, (j + 1) * width);
      const norm = Math.hypot(...row);
      row.forEach((value, d) => (row[d] = value / norm));
    }
    return drawn;
  };
  const { inputScale = 1, outputHookPoint = null } = options;
  return {
    config: {
      formatVersion: 1, name, model: 'tiny', hookPoint, outputHookPoint, architecture: options.architecture ?? 'untied', dIn: width, dOut: width, nFeatures,
      k: options.k ?? null, l1: null, inputScale, outputScale: options.outputScale ?? inputScale, weightsHash: `test-${name}-${options.seed}`, run: 'test',
    },
    encoder: rows(),
    encoderBias: normal(nFeatures, 0.1).map((b) => b + (options.bias ?? 0)),
    threshold: options.threshold === undefined ? null : Float32Array.from({ length: nFeatures }, () => options.threshold! * rng.next()),
    decoder: rows(),
    decoderBias: normal(width, 0.1),
    skip: options.skip === true ? normal(width * width, 0.1) : null,
  };
}

import { expectedNormScale } from '../activations/inputScale.ts';
import { CallerError } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';

/** What is fixed about a hook point by the first block. */
export interface HookStatistics {
  /** Activations are divided by it. */
  readonly scale: number;
  /** Variance per element after scaling: turns mse into an estimate of fvu while training. */
  readonly variance: number;
}

/** Vectors that variance and centre are estimated from. */
export const STATISTICS_SAMPLE = 4096;

/** Scale and variance from vectors [n, D]. Throws BAD_INPUT where they are no use. */
export function hookStatistics(hook: HookPoint, vectors: Float32Array, D: number, normalise: 'none' | 'expected-norm'): HookStatistics {
  const scale = normalise === 'expected-norm' ? expectedNormScale(vectors, D) : 1;
  const meter = new VarianceMeter(D);
  meter.add(vectors.subarray(0, STATISTICS_SAMPLE * D));
  const variance = meter.sumOfSquares() / (meter.count * D) / scale ** 2;
  if (!(scale > 0 && Number.isFinite(scale) && variance > 0 && Number.isFinite(variance))) {
    throw new CallerError('BAD_INPUT', `activations at ${hook} have mean norm over √D ${scale} and variance ${variance}; expected finite numbers above 0. The model's weights or the hook point may be wrong`);
  }
  return { scale, variance };
}

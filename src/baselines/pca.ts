import type { Directions } from './directions.ts';
import type { Eigen } from './eigen.ts';

/**
 * Principal components: component j is the unit eigenvector of the covariance with the j-th largest eigenvalue, read and
 * written along the same direction. The paper's code (Cunningham et al. 2023, sweep_baselines.py) projects x as it is;
 * here the mean is taken off first, which is what principal components are defined for.
 */
export function pcaDirections(mean: Float64Array, { vectors }: Eigen): Directions {
  return { reading: vectors, writing: vectors, centre: mean };
}

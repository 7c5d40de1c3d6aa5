import type { Score } from '../domain/feature.ts';
import type { Bootstrap } from './bootstrap.ts';
import { evCorrelation } from './correlation.ts';
import type { SimulatedFragment } from './correlation.ts';

/** A score before it is known who judged, and on which text. */
export type Measured = Omit<Score, 'judge' | 'promptVersion' | 'fragments'>;

/**
 * Pearson correlation of simulated with true activations over held-out fragments: over top and random together, over the
 * top ones, over the random ones (Cunningham et al. 2023, Appendix A; `simulation-top-random` is the paper's). n counts tokens. Names begin with `instrument`.
 */
export function simulationScores(top: readonly SimulatedFragment[], random: readonly SimulatedFragment[], bootstrap: Bootstrap, instrument = 'simulation'): readonly Measured[] {
  return [
    correlationScore(`${instrument}-top-random`, [top, random], bootstrap),
    correlationScore(`${instrument}-top`, [top], bootstrap),
    correlationScore(`${instrument}-random`, [random], bootstrap),
  ];
}

/** Correlation pooled over the tokens of all strata (of two, the first are top and the second random fragments). */
export function correlationScore(scorer: string, strata: readonly (readonly SimulatedFragment[])[], bootstrap: Bootstrap): Measured {
  const n = countTokens(strata);
  const empty = emptyStratum(strata);
  const correlation = empty === null ? evCorrelation(strata.flat()) : { value: null, reason: empty };
  if (correlation.value === null) return { scorer, value: null, undefinedReason: correlation.reason, n, low: null, high: null };
  const interval = bootstrap.interval(strata);
  return { scorer, value: correlation.value, undefinedReason: null, n, low: interval?.low ?? null, high: interval?.high ?? null };
}

/** Why a score over top and random fragments together has no value although one of the two has fragments. */
export function emptyStratum(strata: readonly (readonly SimulatedFragment[])[]): string | null {
  if (strata.length !== 2 || strata.every((s) => s.length > 0)) return null;
  return `no held-out ${strata[0].length === 0 ? 'top' : 'random'} fragments`;
}

export function countTokens(strata: readonly (readonly SimulatedFragment[])[]): number {
  let n = 0;
  for (const stratum of strata) for (const fragment of stratum) n += fragment.truth.length;
  return n;
}

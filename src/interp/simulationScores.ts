import type { Score } from '../domain/feature.ts';

import type { Bootstrap } from './bootstrap.ts';
import { evCorrelation } from './correlation.ts';
import type { SimulatedFragment } from './correlation.ts';

/** A score before it is known who judged, and on which text. */
export type Measured = Omit<Score, 'judge' | 'promptVersion' | 'fragments'>;

/** The three scores of one simulation, in the order they are stored. `simulation-top-random` is the paper's. */
export const SIMULATION_SCORERS = ['simulation-top-random', 'simulation-top', 'simulation-random'] as const;

/**
 * Pearson correlation of simulated with true activations over held-out fragments: over top and random together, over the
 * top ones, over the random ones (Cunningham et al. 2023, Appendix A). n counts tokens.
 */
export function simulationScores(top: readonly SimulatedFragment[], random: readonly SimulatedFragment[], bootstrap: Bootstrap): readonly Measured[] {
  const sets = { 'simulation-top-random': [top, random], 'simulation-top': [top], 'simulation-random': [random] };
  return SIMULATION_SCORERS.map((scorer) => {
    const strata = sets[scorer];
    if (scorer === 'simulation-top-random' && strata.some((s) => s.length === 0)) {
      const which = top.length === 0 ? 'top' : 'random';
      return { scorer, value: null, undefinedReason: `no held-out ${which} fragments`, n: tokens(strata), low: null, high: null };
    }
    const correlation = evCorrelation(strata.flat());
    if (correlation.value === null) {
      return { scorer, value: null, undefinedReason: correlation.reason, n: tokens(strata), low: null, high: null };
    }
    const interval = bootstrap.interval(strata);
    return { scorer, value: correlation.value, undefinedReason: null, n: tokens(strata), low: interval?.low ?? null, high: interval?.high ?? null };
  });
}

function tokens(strata: readonly (readonly SimulatedFragment[])[]): number {
  let n = 0;
  for (const stratum of strata) for (const fragment of stratum) n += fragment.truth.length;
  return n;
}

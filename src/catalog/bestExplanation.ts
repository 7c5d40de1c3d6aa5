import type { ExplanationRow } from '../ports/CatalogReader.ts';

/**
 * Correlations of simulated with true activations, in the order they decide: explanations are compared by the first of these
 * that any of them has. Other instruments never decide: an accuracy and a correlation do not compare, nor do correlations on
 * other fragments.
 */
const RANKING = ['simulation-top-random', 'simulation-random', 'simulation-top'] as const;

/**
 * The explanation with the highest value, of any judge, of the first instrument of RANKING that any of them has a value of; those
 * without one of it are behind. Ties, and explanations none of which was simulated, go by the explainer's name. Null when there is none.
 */
export function bestExplanation(rows: readonly ExplanationRow[]): ExplanationRow | null {
  const byName = [...rows].sort((a, b) => (a.explainer < b.explainer ? -1 : 1));
  for (const scorer of RANKING) {
    let best: ExplanationRow | null = null;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (const row of byName) {
      for (const score of row.scores) {
        if (score.scorer !== scorer || score.value === null || score.value <= bestValue) continue;
        best = row;
        bestValue = score.value;
      }
    }
    if (best !== null) return best;
  }
  return byName[0] ?? null;
}

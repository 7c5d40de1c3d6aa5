import { addressOf, type FeatureView } from '../../catalog/features.ts';
import type { Score as DomainScore } from '../../domain/feature.ts';
import type { ExplanationRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';

export interface ExplanationView {
  readonly row: ExplanationRow;
  readonly view: FeatureView;
}

/** The explanation with the highest score of any scorer; the first when none has one; null when there is none. */
export function bestOf(rows: readonly ExplanationRow[]): ExplanationRow | null {
  let best: ExplanationRow | null = rows[0] ?? null;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    for (const { value } of row.scores) {
      if (value !== null && value > bestScore) {
        best = row;
        bestScore = value;
      }
    }
  }
  return best;
}

export const Explanation = {
  id: (({ row, view }) =>
    toGlobalId('Explanation', `${addressOf(view.dictionary, view.row.index)}/${row.explainer}`)) satisfies Resolver<ExplanationView>,
  explainer: (({ row }) => row.explainer) satisfies Resolver<ExplanationView>,
  description: (({ row }) => row.description) satisfies Resolver<ExplanationView>,
  scores: (({ row }) => row.scores) satisfies Resolver<ExplanationView>,
  feature: (({ view }) => view) satisfies Resolver<ExplanationView>,
  run: (({ row }, _, { loaders }) => loaders.run.load(row.run)) satisfies Resolver<ExplanationView>,
};

export const Score = {
  interval: (({ low, high }) => (low === null || high === null ? null : { low, high })) satisfies Resolver<DomainScore>,
};

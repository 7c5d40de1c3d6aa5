import { addressOf, type FeatureView } from '../../catalog/features.ts';
import type { Score as DomainScore } from '../../domain/feature.ts';
import type { ExplanationRow, ExplanationSummaryRow, ScoreMean, ScoreSummaryRow, SkipRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';

export interface ExplanationView {
  readonly row: ExplanationRow;
  readonly view: FeatureView;
}

export const Explanation = {
  id: (({ row, view }) =>
    toGlobalId('Explanation', `${addressOf(view.dictionary, view.row.index)}/${row.explainer}`)) satisfies Resolver<ExplanationView>,
  explainer: (({ row }) => row.explainer) satisfies Resolver<ExplanationView>,
  model: (({ row }) => row.model) satisfies Resolver<ExplanationView>,
  promptVersion: (({ row }) => row.promptVersion) satisfies Resolver<ExplanationView>,
  madeFrom: (({ row }) => row.fragments) satisfies Resolver<ExplanationView>,
  description: (({ row }) => row.description) satisfies Resolver<ExplanationView>,
  scores: (({ row }) => row.scores) satisfies Resolver<ExplanationView>,
  feature: (({ view }) => view) satisfies Resolver<ExplanationView>,
  run: (({ row }, _, { loaders }) => loaders.run.load(row.run)) satisfies Resolver<ExplanationView>,
};

export const Score = {
  interval: (({ low, high }) => (low === null || high === null ? null : { low, high })) satisfies Resolver<DomainScore>,
};

export const ExplanationSkip = {
  run: (({ run }, _, { loaders }) => loaders.run.load(run)) satisfies Resolver<SkipRow>,
};

/** A score's summary with the number of features it is a share of. */
interface ScoreSummaryView {
  readonly score: ScoreSummaryRow;
  readonly features: number;
}

export const ExplanationSummary = {
  run: (({ run }, _, { loaders }) => loaders.run.load(run)) satisfies Resolver<ExplanationSummaryRow>,
  coverage: (({ explained, features }) => shareOf(explained, features)) satisfies Resolver<ExplanationSummaryRow>,
  scores: (({ scores, features }) => scores.map((score): ScoreSummaryView => ({ score, features }))) satisfies Resolver<ExplanationSummaryRow>,
};

export const ScoreSummary = {
  scorer: (({ score }) => score.scorer) satisfies Resolver<ScoreSummaryView>,
  judge: (({ score }) => score.judge) satisfies Resolver<ScoreSummaryView>,
  coverage: (({ score, features }) => shareOf(score.n, features)) satisfies Resolver<ScoreSummaryView>,
  ofScored: (({ score }) => meanOf(score)) satisfies Resolver<ScoreSummaryView>,
  skippedAsZero: (({ score }) => meanOf(score.zero)) satisfies Resolver<ScoreSummaryView>,
  undefined: (({ score }) => score.undefined) satisfies Resolver<ScoreSummaryView>,
};

function shareOf(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function meanOf({ n, mean, halfWidth }: ScoreMean) {
  return { n, value: mean, interval: mean === null || halfWidth === null ? null : { low: mean - halfWidth, high: mean + halfWidth } };
}

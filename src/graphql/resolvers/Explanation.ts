import { addressOf, type FeatureView } from '../../catalog/features.ts';
import type { ExplanationRow, ExplanationSummaryRow, ExplanationTextsRow, ScoreMean, ScoreRow, ScoreSummaryRow, SkipRow } from '../../ports/CatalogReader.ts';
import type { Context, Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';
import { authorOf, isStale } from './Annotations.ts';

export interface ExplanationView {
  readonly row: ExplanationRow;
  readonly view: FeatureView;
}

interface ScoreView {
  readonly score: ScoreRow;
  readonly of: ExplanationRow;
}

/** Undefined when the explanation was replaced while this request ran. */
async function textsOf(row: ExplanationRow, { loaders }: Context): Promise<ExplanationTextsRow | undefined> {
  return (await loaders.explanationTexts.load(row)).find(({ explainer }) => explainer === row.explainer);
}

export const Explanation = {
  id: (({ row, view }) =>
    toGlobalId('Explanation', `${addressOf(view.dictionary, view.row.index)}/${row.explainer}`)) satisfies Resolver<ExplanationView>,
  explainer: (({ row }) => row.explainer) satisfies Resolver<ExplanationView>,
  author: authorOf satisfies Resolver<ExplanationView>,
  stale: ((view, _, context) => isStale(view, context)) satisfies Resolver<ExplanationView>,
  model: (({ row }) => row.model) satisfies Resolver<ExplanationView>,
  promptVersion: (({ row }) => row.promptVersion) satisfies Resolver<ExplanationView>,
  madeFrom: (async ({ row }, _, context) => (await textsOf(row, context))?.madeFrom ?? []) satisfies Resolver<ExplanationView>,
  description: (({ row }) => row.description) satisfies Resolver<ExplanationView>,
  scores: (({ row }) => row.scores.map((score): ScoreView => ({ score, of: row }))) satisfies Resolver<ExplanationView>,
  feature: (({ view }) => view) satisfies Resolver<ExplanationView>,
  run: (({ row }, _, { loaders }) => loaders.run.load(row.run)) satisfies Resolver<ExplanationView>,
};

export const Score = {
  scorer: (({ score }) => score.scorer) satisfies Resolver<ScoreView>,
  judge: (({ score }) => score.judge) satisfies Resolver<ScoreView>,
  promptVersion: (({ score }) => score.promptVersion) satisfies Resolver<ScoreView>,
  value: (({ score }) => score.value) satisfies Resolver<ScoreView>,
  undefinedReason: (({ score }) => score.undefinedReason) satisfies Resolver<ScoreView>,
  n: (({ score }) => score.n) satisfies Resolver<ScoreView>,
  interval: (({ score: { low, high } }) => (low === null || high === null ? null : { low, high })) satisfies Resolver<ScoreView>,
  fragments: (async ({ score, of }, _, context) =>
    (await textsOf(of, context))?.judgedOn.find(({ scorer, judge }) => scorer === score.scorer && judge === score.judge)?.fragments ?? []) satisfies Resolver<ScoreView>,
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
  dictionary: (({ dictionaryId }, _, { loaders }) => loaders.dictionaryById.load(dictionaryId)) satisfies Resolver<ExplanationSummaryRow>,
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

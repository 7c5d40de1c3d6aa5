import { invariant } from '../domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis, Score } from '../domain/feature.ts';
import { skipReason } from '../interp/eligibility.ts';
import { refOf, splitFragments } from '../interp/split.ts';
import type { Split } from '../interp/split.ts';
import type { Explainer } from '../ports/Explainer.ts';
import type { Scorer, ScoreTask } from '../ports/Scorer.ts';

/**
 * Explains some features and scores the explanations on fragments the explainer did not see. A failed attempt becomes a skip with
 * its reason; a scorer that fails leaves a score without a value.
 * @returns one outcome per feature, in order.
 */
export async function explainFeatures(
  { explainer, scorers }: { readonly explainer: Explainer; readonly scorers: readonly Scorer[] },
  features: readonly FeatureAnalysis[],
  minFragments: number,
): Promise<readonly ExplainOutcome[]> {
  const outcomes = new Map<number, ExplainOutcome>();
  const splits = new Map<number, Split>();
  const tasks = features.flatMap((feature) => {
    const reason = skipReason(feature, minFragments);
    if (reason !== null) {
      outcomes.set(feature.index, { kind: 'skipped', index: feature.index, reason });
      return [];
    }
    const split = splitFragments(feature.exemplars);
    splits.set(feature.index, split);
    return [{ index: feature.index, fragments: split.explain, topLogits: feature.topLogits, bottomLogits: feature.bottomLogits }];
  });
  const scoreTasks: ScoreTask[] = [];
  for (const attempt of await explainer.explain(tasks)) {
    if (attempt.kind === 'failed') {
      outcomes.set(attempt.index, { kind: 'skipped', index: attempt.index, reason: `explainer failed: ${attempt.reason}` });
      continue;
    }
    const split = splits.get(attempt.index);
    invariant(split !== undefined, `explainer ${explainer.name} answered for feature ${attempt.index}, which it was not asked about`);
    const { index, description, detail } = attempt;
    scoreTasks.push({
      index, explainer: explainer.name, description, detail,
      top: split.scoredTop, random: split.scoredRandom, calibration: split.calibration, active: split.active, explained: split.explain.map(refOf),
    }); // prettier-ignore
  }
  const scores = await scoreAll(scorers, explainer.name, scoreTasks);
  const { name, model, promptVersion } = explainer;
  for (const { index, description, detail, explained } of scoreTasks) {
    outcomes.set(index, { kind: 'explained', explanation: { index, explainer: name, model, promptVersion, description, detail, fragments: explained, scores: scores.get(index) ?? [] } });
  }
  return features.map(({ index }) => {
    const outcome = outcomes.get(index);
    invariant(outcome !== undefined, `explainer ${explainer.name} gave no answer for feature ${index}`);
    return outcome;
  });
}

async function scoreAll(scorers: readonly Scorer[], explainer: string, tasks: readonly ScoreTask[]): Promise<Map<number, Score[]>> {
  const scores = new Map<number, Score[]>(tasks.map(({ index }) => [index, []]));
  for (const scorer of scorers) {
    if (!scorer.judges(explainer)) continue;
    for (const attempt of await scorer.score(tasks)) {
      const list = scores.get(attempt.index);
      invariant(list !== undefined, `scorer ${scorer.name} answered for feature ${attempt.index}, which it was not asked about`);
      if (attempt.kind === 'scored') list.push(...attempt.scores);
      else list.push({ scorer: scorer.name, judge: scorer.judge, promptVersion: scorer.promptVersion, fragments: [], value: null, undefinedReason: `scorer failed: ${attempt.reason}`, n: 0, low: null, high: null });
    }
  }
  return scores;
}

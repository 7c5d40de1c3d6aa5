import { invariant } from '../domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis, Score } from '../domain/feature.ts';
import { skipReason } from '../interp/eligibility.ts';
import { refOf, splitFragments } from '../interp/split.ts';
import type { Split } from '../interp/split.ts';
import type { Explainer, ExplainTask } from '../ports/Explainer.ts';
import type { Scorer, ScoreTask } from '../ports/Scorer.ts';

/**
 * Explains some features and scores the explanations on fragments the explainer did not see. A failed attempt becomes a skip with
 * its reason; a scorer that fails leaves a score without a value. Scorers work side by side; their scores stay in the scorers' order.
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
    return [explainTask(feature, split)];
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
    scoreTasks.push(scoreTask(split, { index, explainer: explainer.name, description, detail }));
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

/** What an explainer is given of a feature: the explanation's part of its fragments, and its output tokens. */
export function explainTask({ index, topLogits, bottomLogits }: FeatureAnalysis, split: Split): ExplainTask {
  return { index, fragments: split.explain, topLogits, bottomLogits };
}

/** A description with the held-out fragments it is judged on. */
export function scoreTask(split: Split, described: Pick<ScoreTask, 'index' | 'explainer' | 'description' | 'detail'>): ScoreTask {
  return { ...described, top: split.scoredTop, random: split.scoredRandom, calibration: split.calibration, active: split.active, explained: split.explain.map(refOf) };
}

async function scoreAll(scorers: readonly Scorer[], explainer: string, tasks: readonly ScoreTask[]): Promise<Map<number, Score[]>> {
  const scores = new Map<number, Score[]>(tasks.map(({ index }) => [index, []]));
  const able = scorers.filter((scorer) => scorer.judges(explainer));
  const attempts = await allSettled(able.map((scorer) => scorer.score(tasks)));
  for (const [i, scorer] of able.entries()) {
    for (const attempt of attempts[i]) {
      const list = scores.get(attempt.index);
      invariant(list !== undefined, `scorer ${scorer.name} answered for feature ${attempt.index}, which it was not asked about`);
      if (attempt.kind === 'scored') list.push(...attempt.scores);
      else list.push({ scorer: scorer.name, judge: scorer.judge, promptVersion: scorer.promptVersion, fragments: [], value: null, undefinedReason: `scorer failed: ${attempt.reason}`, n: 0, low: null, high: null });
    }
  }
  return scores;
}

/** All values in order; when one fails, the others are awaited first, so that nothing they paid for is left unread. */
async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

import type { ExplainOutcome, FeatureAnalysis } from '../domain/feature.ts';
import { compileTrie, simulate } from '../interp/pattern/simulate.ts';
import { strongestPaths } from '../interp/pattern/strongestPaths.ts';
import { refOf, splitFragments } from '../interp/split.ts';
import { PATTERN_EXPLAINER } from './patternExplainer.ts';
import { isPattern } from './patternSimulator.ts';
import { simulationScorer, type Simulator } from './simulationScorer.ts';

/** About as many tokens as a description names. */
export const SHORT_PATHS = 10;
export const SHORT_PATTERN_JUDGE = 'pattern-short-v1';

/**
 * The pattern judge held to a sentence's length: it predicts from the SHORT_PATHS strongest ways to fire alone. A whole pattern may hold
 * hundreds, and those of directions that are active on half of all tokens hold most, so that they can know much by heart.
 */
const shortPatternSimulator: Simulator = {
  name: SHORT_PATTERN_JUDGE,
  instrument: 'simulation',
  promptVersion: null,
  simulates: (explainer) => explainer === PATTERN_EXPLAINER,
  async simulate({ detail }, fragments) {
    if (!isPattern(detail)) return { failed: 'the explanation carries no pattern' };
    const trie = compileTrie(strongestPaths(detail.trie, SHORT_PATHS));
    return fragments.map((ids) => simulate(trie, ids));
  },
};

/**
 * Adds this judge's scores to pattern explanations, on the text that the others were scored on; others are left as they are.
 * @param features of the same analysis, by index.
 */
export async function withShortScores(outcomes: readonly ExplainOutcome[], features: ReadonlyMap<number, FeatureAnalysis>, seed: number): Promise<ExplainOutcome[]> {
  const scorer = simulationScorer(shortPatternSimulator, seed);
  return Promise.all(outcomes.map(async (outcome): Promise<ExplainOutcome> => {
    const feature = outcome.kind === 'explained' ? features.get(outcome.explanation.index) : undefined;
    if (outcome.kind === 'skipped' || feature === undefined || !scorer.judges(outcome.explanation.explainer)) return outcome;
    const { explanation } = outcome;
    const { index, explainer, description, detail } = explanation;
    const { explain, scoredTop, scoredRandom, calibration, active } = splitFragments(feature.exemplars);
    const [attempt] = await scorer.score([{ index, explainer, description, detail, top: scoredTop, random: scoredRandom, calibration, active, explained: explain.map(refOf) }]);
    return attempt?.kind === 'scored' ? { kind: 'explained', explanation: { ...explanation, scores: [...explanation.scores, ...attempt.scores] } } : outcome;
  })); // prettier-ignore
}

import type { PatternDetail } from '../interp/pattern/explainPatterns.ts';
import { compileTrie, simulate } from '../interp/pattern/simulate.ts';
import { PATTERN_EXPLAINER } from './patternExplainer.ts';
import type { Simulator } from './simulationScorer.ts';

/** Simulates activations by searching the trie a pattern explanation carries. */
export const patternSimulator: Simulator = {
  name: PATTERN_EXPLAINER,
  instrument: 'simulation',
  promptVersion: null,
  simulates: (explainer) => explainer === PATTERN_EXPLAINER,
  async simulate({ detail }, fragments) {
    if (!isPattern(detail)) return { failed: 'the explanation carries no pattern' };
    const trie = compileTrie(detail.trie);
    return fragments.map((ids) => simulate(trie, ids));
  },
};

export function isPattern(detail: unknown): detail is PatternDetail {
  return typeof detail === 'object' && detail !== null && 'format' in detail && detail.format === PATTERN_EXPLAINER && 'trie' in detail && Array.isArray(detail.trie);
}

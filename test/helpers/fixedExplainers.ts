import { createHash } from 'node:crypto';
import type { Explanation } from '../../src/domain/feature.ts';
import { refOf } from '../../src/interp/split.ts';
import type { ExplainFeatureRequest, FeatureExplainers } from '../../src/ports/FeatureExplainers.ts';

/** An explainer's name as language models have them. */
export const LLM_EXPLAINER = 'token-act-pair-v1@meta-llama/Llama-3.2-1B';

function keyOf({ dictionary, feature, method, scorers }: ExplainFeatureRequest): string {
  return createHash('sha256').update(JSON.stringify([dictionary, feature.index, method, scorers])).digest('hex').slice(0, 16);
}

/**
 * Explainers without a model: the description is the strongest fragment's first token ids, the score a fixed number per scorer.
 * Features without exemplars, and those of index 7, are skipped.
 */
export function fixedExplainers(requests: ExplainFeatureRequest[] = [], before: () => Promise<void> = async () => undefined): FeatureExplainers {
  return {
    methods: ['pattern', 'token-act-pair'],
    scorers: ['simulation', 'detection'],
    identify: (request) => Promise.resolve({ explainer: request.method === 'pattern' ? 'pattern-v1' : LLM_EXPLAINER, run: keyOf(request) }),
    async explain(request) {
      requests.push(request);
      await before();
      const { feature, method, scorers } = request;
      const run = {
        key: keyOf(request),
        stage: 'explain', params: { method, scorers }, inputs: {}, seed: 1, codeVersion: 'test', startedAt: '2026-01-02T03:04:05.000Z', finishedAt: '2026-01-02T03:04:06.000Z', metrics: {},
      }; // prettier-ignore
      if (feature.exemplars.length === 0 || feature.index === 7) return { run, outcome: { kind: 'skipped', index: feature.index, reason: 'too few fragments' } };
      const llm = method === 'token-act-pair';
      const wanted = scorers.length === 0 ? ['simulation'] : scorers;
      const [strongest, ...others] = feature.exemplars;
      const explanation: Explanation = {
        index: feature.index,
        explainer: llm ? LLM_EXPLAINER : 'pattern-v1',
        model: llm ? 'meta-llama/Llama-3.2-1B' : null,
        promptVersion: llm ? 'token-act-pair-v1' : null,
        description: `tokens ${strongest!.ids.slice(0, 3).join(' ')}`,
        detail: null,
        fragments: [refOf(strongest!)],
        scores: wanted.map((name) => ({
          scorer: name === 'simulation' ? 'simulation-top-random' : 'detection-balanced-accuracy',
          judge: 'judge:8b', promptVersion: 'judge-v1', value: 0.75, undefinedReason: null, n: 32, low: 0.5, high: 1, fragments: others.slice(0, 2).map(refOf),
        })), // prettier-ignore
      };
      return { run, outcome: { kind: 'explained', explanation } };
    },
  };
}

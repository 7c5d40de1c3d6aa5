import type { DictionaryConfig } from '../../src/domain/dictionary.ts';
import type { Exemplar, ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import type { Run } from '../../src/domain/run.ts';
import type { ModelRow } from '../../src/ports/CatalogReader.ts';
import type { DictionaryLoad, ExplanationsLoad } from '../../src/ports/CatalogWriter.ts';

/** Made-up catalog content: small, deterministic, every number exact in float32. */

export const MODEL: ModelRow = {
  name: 'toy',
  architecture: 'gpt_neox',
  layers: 4,
  dModel: 8,
  vocabSize: 300,
  contextLength: 64,
  parameters: 12_345,
  weightsHash: 'aa'.repeat(32),
  tokenizerHash: 'bb'.repeat(32),
  source: 'models/toy',
};

export const TOKENS: readonly string[] = Array.from({ length: 300 }, (_, id) => (id === 0 ? 'a\0b' : ` token${id}`));

export function makeRun(stage: string, key = stage): Run {
  return {
    key: `run-${key}`,
    stage,
    params: { steps: 10, nested: { b: 1, a: [1, 2.5, null] } },
    inputs: { model: 'aa'.repeat(32) },
    seed: 7,
    codeVersion: '0.1.0',
    startedAt: '2026-01-02T03:04:05.678Z',
    finishedAt: '2026-01-02T03:05:05.678Z',
    metrics: { loss: 0.125 },
  };
}

export function makeConfig(name: string, nFeatures: number, more: Partial<DictionaryConfig> = {}): DictionaryConfig {
  return {
    formatVersion: 1,
    name,
    model: MODEL.name,
    hookPoint: 'resid_post.1',
    outputHookPoint: null,
    architecture: 'tied',
    dIn: MODEL.dModel,
    dOut: MODEL.dModel,
    nFeatures,
    k: null,
    l1: 0.5,
    inputScale: 1,
    outputScale: 1,
    weightsHash: 'cc'.repeat(32),
    run: 'run-train',
    ...more,
  };
}

export function makeExemplar(kind: Exemplar['kind'], rank: number, length = 6): Exemplar {
  const ids = Array.from({ length }, (_, t) => (rank * 31 + t * 7) % 300);
  const activations = ids.map((_, t) => (t % 3 === rank % 3 ? 0.25 * (t + 1) + rank : 0));
  return { kind, rank, row: 100 + rank, start: 3 * rank, ids, activations, maxActivation: Math.max(...activations) };
}

export function makeFeature(index: number, more: Partial<FeatureAnalysis> = {}): FeatureAnalysis {
  return {
    index,
    // Few distinct values, so that orders have ties.
    density: (index % 5) / 8,
    maxActivation: (index * 37) % 11,
    meanActivation: index % 4 === 0 ? null : 0.5,
    histogram: index % 4 === 0 ? { edges: [], counts: [] } : { edges: [0, 0.5, 1], counts: [index, 3] },
    topLogits: [{ id: index % 300, value: 1.5 }, { id: 5, value: 0.75 }],
    bottomLogits: [{ id: 9, value: -2 }],
    neighbours: [{ index: 0, cosine: 0.875 }],
    exemplars: [makeExemplar('top', 1), makeExemplar('top', 0), makeExemplar('quantile', 2001), makeExemplar('random', 0, 1)],
    ...more,
  };
}

/** What all made-up scores share. */
const judged = { judge: 'pattern-v1', promptVersion: null, fragments: [{ row: 3, start: 64, length: 64 }, { row: 9, start: 0, length: 64 }] };

export function makeExplanation(index: number, description: string, score: number | null, explainer = 'pattern-v1'): ExplainOutcome {
  const undefinedReason = score === null ? 'constant activations' : null;
  const bound = (offset: number): number | null => (score === null ? null : score + offset);
  return {
    kind: 'explained',
    explanation: {
      index,
      explainer,
      model: null,
      promptVersion: null,
      fragments: [{ row: 1, start: 0, length: 64 }],
      description,
      detail: { words: [description, 'nul \0 and \ud800 alone'] },
      scores: [
        { ...judged, scorer: 'simulation-top-random', value: score, undefinedReason, n: 128, low: bound(-0.125), high: bound(0.125) },
        { ...judged, scorer: 'simulation-random', value: 0.25, undefinedReason: null, n: 64, low: 0, high: 0.5 },
      ],
    },
  };
}

/** A load of `nFeatures` made-up features; `explanations` of some of them. */
export function makeLoad(name: string, nFeatures: number, explanations: readonly ExplainOutcome[] = [], more: Partial<DictionaryLoad> = {}): DictionaryLoad {
  return {
    config: makeConfig(name, nFeatures),
    quality: { fvu: 0.25, l0: 12.5, aliveShare: 0.75, vectors: 4096 },
    location: `runs/train-1/${name}`,
    tokensAnalysed: 65_536,
    runs: { train: makeRun('train'), analyse: makeRun('analyse') },
    features: stream(Array.from({ length: nFeatures }, (_, index) => makeFeature(index))),
    explanations: explanations.length === 0 ? [] : explainedBy(explanations),
    ...more,
  };
}

/** Outcomes as loads of their explainers; skipped features count as the pattern explainer's. */
export function explainedBy(outcomes: Iterable<ExplainOutcome>, run = makeRun('explain')): ExplanationsLoad[] {
  const byExplainer = Map.groupBy(outcomes, (outcome) => (outcome.kind === 'explained' ? outcome.explanation.explainer : 'pattern-v1'));
  return Array.from(byExplainer, ([explainer, own]) => ({ explainer, run, outcomes: stream(own) }));
}

export async function* stream<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

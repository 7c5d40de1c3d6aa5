import type { DictionaryConfig } from '../../src/domain/dictionary.ts';
import type { CircuitEdge, Exemplar, ExemplarKind, ExplainOutcome, FeatureAnalysis, OutputEdge } from '../../src/domain/feature.ts';
import type { Run } from '../../src/domain/run.ts';
import { Rng } from '../../src/math/rng.ts';
import type { CatalogWriter } from '../../src/ports/CatalogWriter.ts';

/** Words of the synthetic explanations; feature i is about word i mod 8, so searches have known answers. */
export const TOPICS = ['parenthesis', 'quotation', 'monday', 'giraffe', 'number', 'whitespace', 'comma', 'river'] as const;

export interface SeedOptions {
  /** Features per dictionary. */
  readonly features?: number;
  /** Dictionaries are `0-tied-r2`, `1-tied-r2`, … */
  readonly layers?: number;
  readonly seed?: number;
}

export const TOY = { model: 'toy', vocab: 50, width: 8, window: 12 } as const;

/** float32, as the catalog stores reals. */
const f = Math.fround;

function seedRun(stage: string, seed: number): Run {
  return {
    key: `${stage}-0123456789abcdef`,
    stage,
    params: { width: TOY.width, note: stage },
    inputs: { model: 'aa11', text: 'bb22' },
    seed,
    codeVersion: '0.0.0-test',
    startedAt: '2026-01-02T03:04:05.000Z',
    finishedAt: '2026-01-02T03:05:05.000Z',
    metrics: { seconds: 60 },
  };
}

function seedExemplar(kind: ExemplarKind, rank: number, rng: Rng): Exemplar {
  const ids = Array.from({ length: TOY.window }, () => rng.int(TOY.vocab));
  const activations = ids.map(() => (rng.next() < 0.3 ? f(5 * rng.next()) : 0));
  return { kind, rank, row: rng.int(1000), start: rng.int(100), ids, activations, maxActivation: Math.max(...activations) };
}

/** Feature `index` of a seeded dictionary: the same for the same arguments. */
export function seedFeature(layer: number, index: number, features: number, seed: number): FeatureAnalysis {
  const rng = Rng.derive(seed, 'feature', layer, index);
  const logits = (sign: number) => Array.from({ length: 5 }, (_, i) => ({ id: rng.int(TOY.vocab), value: f(sign * (1 - i / 10)) }));
  return {
    index,
    // Ties on purpose: keyset paging must break them.
    density: Math.ceil(rng.next() * 10) / 100,
    maxActivation: f(1 + rng.int(20)),
    meanActivation: index % 7 === 0 ? null : f(rng.next()),
    histogram: { edges: [0, 1, 2, 4], counts: [rng.int(100), rng.int(50), rng.int(10)] },
    topLogits: logits(1),
    bottomLogits: logits(-1),
    neighbours: [1, 2, 3].map((step) => ({ index: (index + step) % features, cosine: f(1 / (step + 1)) })),
    exemplars: (['top', 'quantile', 'random'] as const).flatMap((kind) => Array.from({ length: 4 }, (_, rank) => seedExemplar(kind, rank, rng))),
  };
}

export function seedDescription(layer: number, index: number): string {
  return `the ${TOPICS[index % TOPICS.length]} in layer ${layer}, case ${index} <b>`;
}

/** Every fifth feature is skipped; every ninth explained one has an undefined score. */
function seedOutcome(layer: number, index: number): ExplainOutcome {
  if (index % 5 === 4) return { kind: 'skipped', index, reason: 'never active in held-out text' };
  const undefinedScore = index % 9 === 0;
  const value = Math.round(100 * Math.sin(index + layer)) / 100;
  return {
    kind: 'explained',
    explanation: {
      index,
      explainer: 'pattern-v1',
      model: null,
      promptVersion: null,
      fragments: [{ row: 0, start: 64, length: 64 }],
      description: seedDescription(layer, index),
      detail: { patterns: [] },
      scores: [
        {
          scorer: 'simulation-top-random',
          judge: 'pattern-v1',
          promptVersion: null,
          fragments: [{ row: 1, start: 0, length: 64 }],
          value: undefinedScore ? null : value,
          undefinedReason: undefinedScore ? 'the simulation is constant' : null,
          n: 640,
          low: undefinedScore ? null : value - 0.1,
          high: undefinedScore ? null : value + 0.1,
        },
      ],
    },
  };
}

async function* count<T>(n: number, make: (i: number) => T): AsyncIterable<T> {
  for (let i = 0; i < n; i++) yield make(i);
}

export function seedConfig(layer: number, features: number): DictionaryConfig {
  return {
    formatVersion: 1,
    name: `${layer}-tied-r2`,
    model: TOY.model,
    hookPoint: `resid_post.${layer}`,
    outputHookPoint: null,
    architecture: 'tied',
    dIn: TOY.width,
    dOut: TOY.width,
    nFeatures: features,
    k: null,
    l1: 0.001,
    inputScale: 1,
    outputScale: 1,
    weightsHash: `${layer}`.repeat(64),
    run: 'train-0123456789abcdef',
  };
}

/** Synthetic features and explanations for one dictionary. */
export async function loadSeeded(writer: CatalogWriter, config: DictionaryConfig, location: string, layer = 0, seed = 7): Promise<void> {
  const features = config.nFeatures;
  await writer.loadDictionary({
    config,
    quality: { fvu: 0.25, l0: 12.5, aliveShare: 0.9, vectors: 10_000 },
    location,
    tokensAnalysed: 5_000_000_000,
    runs: { train: seedRun('train', seed), analyse: seedRun('analyse', seed) },
    features: count(features, (i) => seedFeature(layer, i, features, seed)),
    explanations: [{ explainer: 'pattern-v1', run: seedRun('explain', seed), outcomes: count(features, (i) => seedOutcome(layer, i)) }],
  });
}

/**
 * A small synthetic catalog: model `toy`, one dictionary per layer, every feature with exemplars of all kinds, four of five
 * explained, `(layer, i) → (layer + 1, i)` and `(layer, i + 1) → (layer + 1, i)` edges, and `(layer, i) → token i`, `→ token i + 1`.
 */
export async function seedCatalog(writer: CatalogWriter, options: SeedOptions = {}): Promise<void> {
  const { features = 40, layers = 2, seed = 7 } = options;
  const { model, vocab, width } = TOY;
  await writer.loadModel(
    {
      name: model,
      architecture: 'gpt_neox',
      layers: Math.max(2, layers),
      dModel: width,
      vocabSize: vocab,
      contextLength: 64,
      // Above 2^31: Count, not Int.
      parameters: 6_900_000_000,
      weightsHash: 'a'.repeat(64),
      tokenizerHash: 'b'.repeat(64),
      source: 'models/toy',
    },
    Array.from({ length: vocab }, (_, i) => ` t${i}`),
  );
  for (let layer = 0; layer < layers; layer++) {
    await loadSeeded(writer, seedConfig(layer, features), `dictionaries/${layer}`, layer, seed);
  }
  await writer.loadCircuits(model, [{ run: seedRun('circuits', seed), edges: seedEdges(layers, features), outputs: seedOutputs(layers, features) }]);
}

function* seedEdges(layers: number, features: number): Iterable<CircuitEdge> {
  for (let layer = 0; layer + 1 < layers; layer++) {
    for (let i = 0; i < features; i++) {
      for (const step of [0, 1]) {
        yield {
          sourceDictionary: `${layer}-tied-r2`,
          sourceIndex: (i + step) % features,
          targetDictionary: `${layer + 1}-tied-r2`,
          targetIndex: i,
          effect: step === 0 ? 0.75 : -0.5,
          standardError: 0.125,
          n: 16,
        };
      }
    }
  }
}

/** Effects on tokens are stronger from later layers: layer + 1, and minus half that on the next token. */
function* seedOutputs(layers: number, features: number): Iterable<OutputEdge> {
  for (let layer = 0; layer < layers; layer++) {
    for (let i = 0; i < features; i++) {
      for (const step of [0, 1]) {
        const tokenId = (i + step) % TOY.vocab;
        yield { sourceDictionary: `${layer}-tied-r2`, sourceIndex: i, tokenId, token: ` t${tokenId}`, effect: (layer + 1) * (step === 0 ? 1 : -0.5), standardError: 0.25, n: 9 };
      }
    }
  }
}

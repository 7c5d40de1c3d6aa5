import type { DictionaryConfig } from '../../../src/domain/dictionary.ts';
import type { CircuitEdge, Exemplar, ExemplarKind, ExplainOutcome, FeatureAnalysis, TokenLogit } from '../../../src/domain/feature.ts';
import type { Run } from '../../../src/domain/run.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { ModelRow } from '../../../src/ports/CatalogReader.ts';
import { makeVocabulary, zipf } from '../searchData.ts';

export const MODEL = 'bench';
const VOCAB = 32_000;
const LAYERS = 12;
const WINDOW = 64;
const MOST_FEATURES = 16_384;
const LEAST_DICTIONARIES = 5;
/** 20 exemplars of a feature. */
const KINDS: Readonly<Record<ExemplarKind, number>> = { top: 10, quantile: 5, random: 5 };
export const EDGES = 10;

export interface DictionaryPlan {
  /** Place among the dictionaries: edges come from the one before. */
  readonly place: number;
  readonly name: string;
  readonly layer: number;
  readonly features: number;
}

/** What is said of the features: words by frequency, and how to draw them. */
export interface Words {
  readonly vocabulary: readonly string[];
  readonly draw: (u: number) => number;
}

/** `features` over equal dictionaries of at most 16,384, by layer, so that what is upstream comes before. */
export function planDictionaries(features: number): readonly DictionaryPlan[] {
  const count = Math.max(LEAST_DICTIONARIES, Math.ceil(features / MOST_FEATURES));
  return Array.from({ length: count }, (_, place) => {
    const layer = Math.floor((place * LAYERS) / count);
    return { place, name: `${layer}-bench-${place}`, layer, features: Math.floor(((place + 1) * features) / count) - Math.floor((place * features) / count) };
  });
}

export function makeWords(): Words {
  const vocabulary = makeVocabulary(40_000, new Rng(1));
  return { vocabulary, draw: zipf(vocabulary.length) };
}

export function modelOf({ vocabulary }: Words): { readonly row: ModelRow; readonly tokens: readonly string[] } {
  return {
    row: { name: MODEL, architecture: 'gpt_neox', layers: LAYERS, dModel: 64, vocabSize: VOCAB, contextLength: 1024, parameters: 1e6, weightsHash: 'a'.repeat(64), tokenizerHash: 'b'.repeat(64), source: 'models/bench' },
    tokens: Array.from({ length: VOCAB }, (_, i) => ` ${vocabulary[i]!}`),
  };
}

export function runOf(stage: string): Run {
  return { key: `${stage}-0123456789abcdef`, stage, params: {}, inputs: {}, seed: 1, codeVersion: 'bench', startedAt: '2026-01-02T03:04:05.000Z', finishedAt: '2026-01-02T03:05:05.000Z', metrics: {} };
}

export function configOf({ name, layer, features, place }: DictionaryPlan): DictionaryConfig {
  return { formatVersion: 1, name, model: MODEL, hookPoint: `resid_post.${layer}`, outputHookPoint: null, architecture: 'tied', dIn: 64, dOut: 64, nFeatures: features, k: null, l1: 0.001, inputScale: 1, outputScale: 1, weightsHash: String(place).padStart(64, '0'), run: runOf('train').key };
}

function exemplar(kind: ExemplarKind, rank: number, rng: Rng, draw: Words['draw']): Exemplar {
  const ids = Array.from({ length: WINDOW }, () => Math.min(VOCAB - 1, draw(rng.next())));
  // About one token in ten is active: exemplars are sparse.
  const activations = ids.map((_, t) => (t === WINDOW / 2 || rng.int(10) === 0 ? Math.fround(0.1 + 10 * rng.next()) : 0));
  return { kind, rank: kind === 'quantile' ? 1000 * rank : rank, row: rng.int(100_000), start: rng.int(900), ids, activations, maxActivation: Math.max(...activations) };
}

export function featureOf(plan: DictionaryPlan, index: number, { draw }: Words): FeatureAnalysis {
  const rng = Rng.derive(1, 'feature', plan.place, index);
  const logits = (sign: number): TokenLogit[] => Array.from({ length: 10 }, (_, i) => ({ id: rng.int(VOCAB), value: Math.fround(sign * (1 - i / 20)) }));
  return {
    index,
    density: rng.next() ** 3,
    maxActivation: Math.fround(1 + 20 * rng.next()),
    meanActivation: Math.fround(rng.next()),
    histogram: { edges: Array.from({ length: 21 }, (_, i) => i), counts: Array.from({ length: 20 }, () => rng.int(1000)) },
    topLogits: logits(1),
    bottomLogits: logits(-1),
    neighbours: Array.from({ length: 10 }, (_, i) => ({ index: (index + i + 1) % plan.features, cosine: Math.fround(0.9 - i / 20) })),
    exemplars: (Object.keys(KINDS) as ExemplarKind[]).flatMap((kind) => Array.from({ length: KINDS[kind] }, (_, rank) => exemplar(kind, rank, rng, draw))),
  };
}

/** One explanation of 8 to 20 words with two scores. */
export function outcomeOf(plan: DictionaryPlan, index: number, { vocabulary, draw }: Words): ExplainOutcome {
  const rng = Rng.derive(1, 'explanation', plan.place, index);
  const description = Array.from({ length: 8 + rng.int(13) }, () => vocabulary[draw(rng.next())]!).join(' ');
  const fragments = (from: number) => Array.from({ length: 5 }, (_, i) => ({ row: from + i, start: rng.int(900), length: WINDOW }));
  const judgedOn = fragments(100);
  const score = (scorer: string) => {
    const value = Math.max(-0.9, Math.min(0.9, 0.35 + 0.25 * rng.normal()));
    return { scorer, judge: 'pattern-v1', promptVersion: null, value, undefinedReason: null, n: 640, low: value - 0.1, high: value + 0.1, fragments: judgedOn };
  };
  return {
    kind: 'explained',
    explanation: { index, explainer: 'pattern-v1', model: null, promptVersion: null, description, detail: { patterns: [] }, fragments: fragments(0), scores: [score('detection-balanced-accuracy'), score('simulation-top-random')] },
  };
}

/** Ten edges into every feature of every dictionary but the first, from the one before. */
export function* edgesOf(plans: readonly DictionaryPlan[]): Iterable<CircuitEdge> {
  for (const [place, plan] of plans.entries()) {
    const before = plans[place - 1];
    if (before === undefined) continue;
    const rng = Rng.derive(1, 'edges', place);
    const stride = Math.floor(before.features / EDGES);
    for (let targetIndex = 0; targetIndex < plan.features; targetIndex++) {
      for (let e = 0; e < EDGES; e++) {
        yield { sourceDictionary: before.name, sourceIndex: e * stride + rng.int(stride), targetDictionary: plan.name, targetIndex, effect: 0.05 + 0.9 * rng.next(), standardError: 0.01 + 0.1 * rng.next(), n: 16 };
      }
    }
  }
}

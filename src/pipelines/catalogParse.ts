import { NO_ROW } from '../domain/feature.ts';
import type { CircuitEdge, Exemplar, ExemplarKind, Explanation, FragmentRef, Histogram, OutputEdge, Score, TokenLogit } from '../domain/feature.ts';
import type { BulkFeature, BulkNearest, BulkPerson, BulkSkip, OfRun } from '../ports/CatalogBulk.ts';
import { PERSON } from './catalogLayout.ts';
import type { LineReader } from './lineReader.ts';

/** Lines of catalogRows back as what they were; those of other programs as far as they go. */

/** Id of the token that reads so, or undefined. */
export type TokenId = (text: string) => number | undefined;

const KINDS: readonly ExemplarKind[] = ['top', 'quantile', 'random'];

export function featureOf(line: LineReader, tokenId: TokenId): BulkFeature {
  const ours = line.inner('catalog');
  const pairs = (texts: string, values: string, ids: string): TokenLogit[] => {
    const numbers = line.has(values) ? line.reals(values) : [];
    const tokens = ours === null ? (line.has(texts) ? line.texts(texts) : []).map((text) => tokenId(text)) : ours.naturals(ids);
    if (tokens.length !== numbers.length) line.refuse(values, `as many numbers as there are tokens, ${tokens.length}`);
    // A text that is no token of this model's vocabulary says nothing here.
    return tokens.flatMap((id, i) => (id === undefined ? [] : [{ id, value: numbers[i]! }]));
  };
  const neighbours = line.has('topkCosSimIndices') ? line.naturals('topkCosSimIndices') : [];
  const cosines = line.has('topkCosSimValues') ? line.reals('topkCosSimValues') : [];
  if (cosines.length !== neighbours.length) line.refuse('topkCosSimValues', `as many numbers as topkCosSimIndices has, ${neighbours.length}`);
  return {
    index: line.natural('index'),
    density: line.realOrNull('frac_nonzero') ?? 0,
    maxActivation: line.real('maxActApprox'),
    meanActivation: ours?.realOrNull('meanActivation') ?? null,
    histogram: histogramOf(line, ours),
    topLogits: pairs('pos_str', 'pos_values', 'topIds'),
    bottomLogits: pairs('neg_str', 'neg_values', 'bottomIds'),
    neighbours: neighbours.map((index, i) => ({ index, cosine: cosines[i]! })),
  };
}

/** The field writes where bars are, evenly apart, and not where they end. */
function histogramOf(line: LineReader, ours: LineReader | null): Histogram {
  const counts = line.has('freq_hist_data_bar_heights') ? line.naturals('freq_hist_data_bar_heights') : [];
  if (ours !== null) return { edges: ours.reals('histogramEdges'), counts };
  if (counts.length === 0) return { edges: [], counts: [] };
  const middles = line.reals('freq_hist_data_bar_values');
  if (middles.length !== counts.length) line.refuse('freq_hist_data_bar_values', `as many numbers as there are bars, ${counts.length}`);
  const half = middles.length > 1 ? (middles[1]! - middles[0]!) / 2 : middles[0]!;
  return { edges: [middles[0]! - half, ...middles.map((middle) => middle + half)], counts };
}

/** `foreignRank` says which place the exemplar has among those of its kind, where the line does not. */
export function exemplarOf(line: LineReader, tokenId: TokenId, foreignRank: (kind: ExemplarKind) => number): { readonly index: number; readonly exemplar: Exemplar } {
  const ours = line.inner('catalog');
  const index = line.natural('index');
  const activations = line.reals('values');
  const maxActivation = line.real('maxValue');
  if (ours !== null) {
    const kind = ours.text('kind');
    if (!isKind(kind)) return ours.refuse('kind', KINDS.join(', '));
    const ids = ours.naturals('ids');
    if (ids.length !== activations.length) line.refuse('values', `as many numbers as there are tokens, ${ids.length}`);
    return { index, exemplar: { kind, rank: ours.natural('rank'), row: ours.natural('row'), start: ours.natural('start'), ids, activations, maxActivation } };
  }
  const ids = line.texts('tokens').map((text) => tokenId(text) ?? line.fail(`token ${JSON.stringify(text)} is not in the model's vocabulary: these activations are of a model with another one`));
  if (ids.length !== activations.length) line.refuse('values', `as many numbers as there are tokens, ${ids.length}`);
  // In the field's files a window drawn from a band of activations names the band; the strongest name none, or one from −1.
  const kind = (line.realOrNull('binContains') ?? -1) > 0 && (line.realOrNull('binMin') ?? -1) >= 0 ? 'quantile' : 'top';
  return { index, exemplar: { kind, rank: foreignRank(kind), row: NO_ROW, start: 0, ids, activations, maxActivation } };
}

const isKind = (text: string): text is ExemplarKind => (KINDS as readonly string[]).includes(text);

export interface ReadExplanation {
  readonly explanation: Omit<OfRun<Explanation>, 'scores' | 'run'> & { readonly run: string | null };
  /** What scores were measured on, by the number they give. */
  readonly judgedOn: readonly (readonly FragmentRef[])[];
}

/** Explanations of other programs carry no run. */
export function explanationOf(line: LineReader): ReadExplanation {
  const ours = line.inner('catalog');
  const model = line.textOrNull('explanationModelName');
  const type = line.textOrNull('typeName');
  const index = line.natural('index');
  const description = line.text('description');
  if (ours === null) {
    const explainer = model === null ? (type ?? 'unknown') : `${type ?? 'unknown'}@${model}`;
    if (explainer.startsWith(PERSON)) line.refuse('typeName', `no "${PERSON}…": these are people of this catalog`);
    return { explanation: { index, explainer, model, promptVersion: type, description, detail: null, fragments: [], run: null }, judgedOn: [] };
  }
  const explainer = ours.text('explainer');
  if (explainer.startsWith(PERSON)) ours.refuse('explainer', 'a machine: words of people lie in the folder people');
  return {
    explanation: { index, explainer, model, promptVersion: ours.textOrNull('promptVersion'), description, detail: ours.any('detail'), fragments: fragmentsOf(ours, 'fragments'), run: ours.text('run') },
    judgedOn: ours.list('judgedOn', 'lists', (value): value is unknown[] => Array.isArray(value)).map((_, i, lists) => lists[i]!.map((one) => (isFragment(one) ? fragment(one) : ours.refuse('judgedOn', 'lists of [row, start, length]')))),
  };
}

const isFragment = (value: unknown): value is readonly [number, number, number] => Array.isArray(value) && value.length === 3 && value.every((number) => Number.isSafeInteger(number) && number >= 0);
const fragment = ([row, start, length]: readonly [number, number, number]): FragmentRef => ({ row, start, length });
const fragmentsOf = (line: LineReader, column: string): readonly FragmentRef[] => line.list(column, '[row, start, length]', isFragment).map(fragment);

/** A score without its text, which the explanation has. */
export interface ReadScore {
  readonly index: number;
  readonly explainer: string;
  readonly judgedOn: number;
  readonly score: Omit<Score, 'fragments'>;
}

export function scoreOf(line: LineReader): ReadScore {
  return {
    index: line.natural('index'),
    explainer: line.text('explainer'),
    judgedOn: line.natural('judgedOn'),
    score: {
      scorer: line.text('scorer'), judge: line.text('judge'), promptVersion: line.textOrNull('promptVersion'), value: line.realOrNull('value'),
      undefinedReason: line.textOrNull('undefinedReason'), n: line.natural('n'), low: line.realOrNull('low'), high: line.realOrNull('high'),
    },
  }; // prettier-ignore
}

export function personOf(line: LineReader): BulkPerson {
  const ours = line.inner('catalog') ?? line.refuse('catalog', 'an object');
  const explainer = ours.text('explainer');
  if (!explainer.startsWith(PERSON) || explainer === PERSON) ours.refuse('explainer', `"${PERSON}<name>"`);
  return { index: line.natural('index'), explainer, description: line.text('description'), owner: line.textOrNull('authorId'), weightsHash: ours.textOrNull('weightsHash') };
}

export function skipOf(line: LineReader): OfRun<BulkSkip> {
  return { index: line.natural('index'), explainer: line.text('explainer'), reason: line.text('reason'), run: line.text('run') };
}

const measuredOf = (line: LineReader) => ({ effect: line.real('effect'), standardError: line.real('standardError'), n: line.natural('n'), run: line.text('run') });

export function edgeOf(line: LineReader): OfRun<CircuitEdge> {
  return { sourceDictionary: line.text('sourceLayer'), sourceIndex: line.natural('sourceIndex'), targetDictionary: line.text('layer'), targetIndex: line.natural('index'), ...measuredOf(line) };
}

export function nearestOf(line: LineReader): OfRun<BulkNearest> {
  const cosines = line.reals('cosines');
  const indices = line.naturals('indices');
  if (cosines.length !== indices.length) line.refuse('cosines', `as many numbers as there are indices, ${indices.length}`);
  return { index: line.natural('index'), targetDictionary: line.text('targetLayer'), targetWeightsHash: line.text('targetWeightsHash'), neighbours: indices.map((index, i) => ({ index, cosine: cosines[i]! })), run: line.text('run') };
}

export function outputEdgeOf(line: LineReader): OfRun<OutputEdge> {
  return { sourceDictionary: line.text('layer'), sourceIndex: line.natural('index'), tokenId: line.natural('tokenId'), token: line.text('token'), ...measuredOf(line) };
}

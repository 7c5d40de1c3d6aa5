import { CallerError, OutsideError } from '../domain/errors.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { Exemplar } from '../domain/feature.ts';
import type { CatalogReader, EdgeRow, FeatureTokenRow } from '../ports/CatalogReader.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { FeatureView } from './features.ts';
import { LIMITS } from './limits.ts';

/** A number, or why there is none. */
export interface Measured {
  readonly value: number | null;
  readonly reason: string | null;
}

/** Tokens of two features, each strongest first. */
export interface TokensCompared {
  readonly shared: readonly { readonly a: FeatureTokenRow; readonly b: FeatureTokenRow }[];
  readonly onlyA: readonly FeatureTokenRow[];
  readonly onlyB: readonly FeatureTokenRow[];
}

export function compareTokens(a: readonly FeatureTokenRow[], b: readonly FeatureTokenRow[]): TokensCompared {
  const ofA = new Map(a.map((row) => [row.tokenId, row]));
  const ofB = new Map(b.map((row) => [row.tokenId, row]));
  return {
    shared: a.flatMap((row) => (ofB.has(row.tokenId) ? [{ a: row, b: ofB.get(row.tokenId)! }] : [])),
    onlyA: a.filter(({ tokenId }) => !ofB.has(tokenId)),
    onlyB: b.filter(({ tokenId }) => !ofA.has(tokenId)),
  };
}

/** Shared entries over entries of either: |A ∩ B| / |A ∪ B|; null where both are empty. */
export function jaccard(a: Iterable<number>, b: Iterable<number>): number | null {
  const [x, y] = [new Set(a), new Set(b)];
  const union = x.union(y).size;
  return union === 0 ? null : x.intersection(y).size / union;
}

/** Share of the top windows of `a` that share a position of the text with one of `b`; both must come from one token file. */
export function windowOverlap(a: readonly Exemplar[], b: readonly Exemplar[]): number | null {
  if (a.length === 0) return null;
  const meets = (x: Exemplar, y: Exemplar): boolean => x.row === y.row && x.start < y.start + y.ids.length && y.start < x.start + x.ids.length;
  return a.filter((one) => b.some((other) => meets(one, other))).length / a.length;
}

/** Cosine of the decoder directions, -1 to 1; weights are read from where the server finds them. */
export async function decoderCosine(live: Pick<LiveModels, 'dictionary'>, a: FeatureView, b: FeatureView): Promise<Measured> {
  if (a.dictionary.model !== b.dictionary.model) return { value: null, reason: 'the features belong to different models' };
  try {
    const [x, y] = await Promise.all([a, b].map(async ({ dictionary, row }) => direction(await live.dictionary(dictionary.model, dictionary.name), row.index)));
    if (x!.length !== y!.length) return { value: null, reason: `the directions have different widths, ${x!.length} and ${y!.length}` };
    const norms = Math.sqrt(dot(x!, x!) * dot(y!, y!));
    return norms === 0 ? { value: null, reason: 'a direction is zero' } : { value: Math.max(-1, Math.min(1, dot(x!, y!) / norms)), reason: null };
  } catch (error) {
    if (!(error instanceof CallerError || error instanceof OutsideError)) throw error;
    // Weights that this server does not have say nothing against the rest of the comparison.
    return { value: null, reason: error instanceof CallerError && error.code === 'MODEL_UNAVAILABLE' ? error.message : 'the weights are not on this server' };
  }
}

/** Top exemplars compared: asks that both analyses read the same token file, which their runs name. */
export async function exemplarOverlap(reader: CatalogReader, a: FeatureView, b: FeatureView): Promise<Measured> {
  const keys = [a.dictionary.analyseRun, b.dictionary.analyseRun];
  if (keys.some((key) => key === null)) return { value: null, reason: 'an analysis has no run: its text is unknown' };
  const [x, y] = await reader.runs(keys.map((key) => key!));
  const [left, right] = [x?.inputs['tokens'] ?? x?.inputs['text'], y?.inputs['tokens'] ?? y?.inputs['text']];
  if (left === undefined || right === undefined) return { value: null, reason: 'a run does not name its text' };
  if (left !== right) return { value: null, reason: 'the features were analysed on different texts' };
  const [ofA, ofB] = await reader.exemplars([a.row, b.row], ['top'], LIMITS.page);
  const value = windowOverlap(ofA!, ofB!);
  return { value, reason: value === null ? 'the first feature has no exemplars' : null };
}

/** Measured edges between the two, either way, among the strongest LIMITS.edges out of each. */
export async function edgesBetween(reader: CatalogReader, a: FeatureView, b: FeatureView): Promise<readonly EdgeRow[]> {
  const [fromA, fromB] = await reader.edges([a.row, b.row], 'outgoing', LIMITS.edges);
  const ends = (rows: readonly EdgeRow[], { row }: FeatureView): readonly EdgeRow[] => rows.filter(({ target }) => target.dictionaryId === row.dictionaryId && target.index === row.index);
  return [...ends(fromA!, b), ...ends(fromB!, a)];
}

function direction({ config, decoder }: DictionaryWeights, index: number): Float32Array {
  const width = decoder.length / config.nFeatures;
  return decoder.subarray(index * width, (index + 1) * width);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

import DataLoader from 'dataloader';
import type { ExemplarKind, Exemplar } from '../domain/feature.ts';
import type { Run } from '../domain/run.ts';
import { dictionariesByName } from '../catalog/dictionaries.ts';
import type { EdgeWindow } from '../catalog/edges.ts';
import { viewsOf, type FeatureView } from '../catalog/features.ts';
import type { CatalogReader, DictionaryRow, EdgeRow, ExplanationRow, ExplanationSummaryRow, ExplanationTextsRow, FeatureKey, FeatureTokenRow, ModelRow, NearestRow, OutputEdgeRow, SkipRow, TokenKey } from '../ports/CatalogReader.ts';

/** One request's reads, each batched over everything the request asks for in the same turn. Makes N+1 impossible to write. */
export interface Loaders {
  readonly model: DataLoader<string, ModelRow | null>;
  readonly dictionaryById: DataLoader<number, DictionaryRow | null>;
  /** Key: `model/name`. */
  readonly dictionaryByName: DataLoader<string, DictionaryRow | null>;
  readonly feature: DataLoader<FeatureKey, FeatureView | null, string>;
  readonly explanations: DataLoader<FeatureKey, readonly ExplanationRow[], string>;
  readonly explanationTexts: DataLoader<FeatureKey, readonly ExplanationTextsRow[], string>;
  readonly skips: DataLoader<FeatureKey, readonly SkipRow[], string>;
  /** Key: a dictionary's id. */
  readonly summaries: DataLoader<number, readonly ExplanationSummaryRow[]>;
  /** Tokens a feature fires on. */
  readonly featureTokens: DataLoader<FeatureKey, readonly FeatureTokenRow[], string>;
  /** Features near it in other dictionaries. */
  readonly nearest: DataLoader<FeatureKey, readonly NearestRow[], string>;
  exemplars(kinds: readonly ExemplarKind[], limit: number): DataLoader<FeatureKey, readonly Exemplar[], string>;
  edges(window: EdgeWindow): DataLoader<FeatureKey, readonly EdgeRow[], string>;
  /** Strongest `limit` effects of a feature on tokens. */
  outputEdges(limit: number): DataLoader<FeatureKey, readonly OutputEdgeRow[], string>;
  /** Strongest `limit` effects of features on a token. */
  tokenSources(limit: number): DataLoader<TokenKey, readonly OutputEdgeRow[], string>;
  /** Texts of token ids of one model, null for unknown ids. */
  readonly tokens: DataLoader<TokenIds, readonly (string | null)[], string>;
  readonly run: DataLoader<string, Run | null>;
  /** What a run made: by its key, dictionaries it trained or analysed, and what its explanations came to. */
  readonly madeBy: DataLoader<string, { readonly trained: readonly DictionaryRow[]; readonly analysed: readonly DictionaryRow[] }>;
  readonly explainedBy: DataLoader<string, readonly ExplanationSummaryRow[]>;
}

export interface TokenIds {
  readonly model: string;
  readonly ids: readonly number[];
}

const byFeature = { cacheKeyFn: (key: FeatureKey): string => `${key.dictionaryId}/${key.index}` };

export function createLoaders(reader: CatalogReader): Loaders {
  const dictionaryById = new DataLoader((ids: readonly number[]) => reader.dictionariesById(ids));
  const exemplars = new Map<string, DataLoader<FeatureKey, readonly Exemplar[], string>>();
  const edges = new Map<string, DataLoader<FeatureKey, readonly EdgeRow[], string>>();
  const outputs = new Map<string, DataLoader<FeatureKey, readonly OutputEdgeRow[], string>>();
  const sources = new Map<string, DataLoader<TokenKey, readonly OutputEdgeRow[], string>>();
  return {
    model: new DataLoader(async (names: readonly string[]) => {
      const found = new Map((await reader.models()).map((row) => [row.name, row]));
      return names.map((name) => found.get(name) ?? null);
    }),
    dictionaryById,
    dictionaryByName: new DataLoader(async (names: readonly string[]) => {
      const rows = await dictionariesByName(reader, names.map(splitName));
      for (const row of rows) if (row !== null) dictionaryById.prime(row.id, row);
      return rows;
    }),
    feature: new DataLoader(async (keys: readonly FeatureKey[]) => {
      const dictionaries = await Promise.all(keys.map((key) => dictionaryById.load(key.dictionaryId)));
      return viewsOf(reader, keys, dictionaries);
    }, byFeature),
    explanations: new DataLoader((keys: readonly FeatureKey[]) => reader.explanations(keys), byFeature),
    explanationTexts: new DataLoader((keys: readonly FeatureKey[]) => reader.explanationTexts(keys), byFeature),
    skips: new DataLoader((keys: readonly FeatureKey[]) => reader.skips(keys), byFeature),
    featureTokens: new DataLoader((keys: readonly FeatureKey[]) => reader.featureTokens(keys), byFeature),
    nearest: new DataLoader((keys: readonly FeatureKey[]) => reader.nearest(keys), byFeature),
    summaries: new DataLoader((ids: readonly number[]) => reader.explanationSummaries(ids)),
    exemplars(kinds, limit) {
      const sorted = [...new Set(kinds)].sort();
      return member(exemplars, `${sorted.join()} ${limit}`, () => new DataLoader((keys) => reader.exemplars(keys, sorted, limit), byFeature));
    },
    edges({ list, limit }) {
      return member(edges, `${list} ${limit}`, () => new DataLoader((keys) => reader.edges(keys, list, limit), byFeature));
    },
    outputEdges(limit) {
      return member(outputs, String(limit), () => new DataLoader((keys) => reader.outputEdges(keys, limit), byFeature));
    },
    tokenSources(limit) {
      return member(sources, String(limit), () => new DataLoader((keys) => reader.tokenSources(keys, limit), { cacheKeyFn: ({ model, id }) => `${model} ${id}` }));
    },
    tokens: new DataLoader((keys: readonly TokenIds[]) => tokenTexts(reader, keys), {
      cacheKeyFn: (key) => `${key.model} ${key.ids.join()}`,
    }),
    run: new DataLoader((keys: readonly string[]) => reader.runs(keys)),
    // The tables of dictionaries and of summaries are small: one statement each, for all runs of the request.
    madeBy: new DataLoader(async (keys: readonly string[]) => {
      const rows = await reader.dictionaries({});
      for (const row of rows) dictionaryById.prime(row.id, row);
      return keys.map((key) => ({ trained: rows.filter(({ trainRun }) => trainRun === key), analysed: rows.filter(({ analyseRun }) => analyseRun === key) }));
    }),
    explainedBy: new DataLoader(async (keys: readonly string[]) => {
      const rows = await reader.dictionaries({});
      for (const row of rows) dictionaryById.prime(row.id, row);
      const summaries = (await reader.explanationSummaries(rows.map(({ id }) => id))).flat();
      return keys.map((key) => summaries.filter(({ run }) => run === key));
    }),
  };
}

function splitName(text: string): { model: string; name: string } {
  const slash = text.indexOf('/');
  return { model: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** Keeps features a use-case has read, so that the rest of the request does not read them or their dictionaries again. */
export function remember(loaders: Loaders, views: Iterable<FeatureView>): void {
  for (const view of views) {
    loaders.dictionaryById.prime(view.dictionary.id, view.dictionary);
    loaders.feature.prime(view.row, view);
  }
}

/** The loader of these arguments: keys asked with other arguments are other rows, so they never share a batch. */
function member<T>(family: Map<string, T>, args: string, make: () => T): T {
  const found = family.get(args) ?? make();
  family.set(args, found);
  return found;
}

async function tokenTexts(reader: CatalogReader, keys: readonly TokenIds[]): Promise<(string | null)[][]> {
  const wanted = new Map<string, Set<number>>();
  for (const { model, ids } of keys) {
    const set = member(wanted, model, () => new Set<number>());
    for (const id of ids) set.add(id);
  }
  const texts = new Map<string, Map<number, string | null>>();
  await Promise.all(
    Array.from(wanted, async ([model, set]) => {
      const ids = [...set];
      const found = ids.length === 0 ? [] : await reader.tokens(model, ids);
      texts.set(model, new Map(ids.map((id, i) => [id, found[i] ?? null])));
    }),
  );
  return keys.map(({ model, ids }) => ids.map((id) => texts.get(model)?.get(id) ?? null));
}

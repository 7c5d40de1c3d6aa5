import type { Run } from '../domain/run.ts';
import type { CatalogReader, DictionaryRow, FeatureKey } from '../ports/CatalogReader.ts';
import type { FeatureSearch, SearchFilter } from '../ports/FeatureSearch.ts';
import { runRule } from './visibleRuns.ts';

/**
 * The catalog without the hidden models: they, and all that hangs on them, answer as if they did not exist, and are left out before
 * anything is counted or limited. A full list of the reader's methods, on purpose: a new one has no rule until it is given one here.
 */
export function visibleReader(reader: CatalogReader, hidden: ReadonlySet<string>): CatalogReader {
  if (hidden.size === 0) return reader;
  /** Whether a dictionary's model may be read, by id; ids never move to another model. */
  const shown = new Map<number, boolean>();
  const see = <Row extends DictionaryRow | null>(row: Row): Row | null => {
    if (row !== null) shown.set(row.id, !hidden.has(row.model));
    return row === null || hidden.has(row.model) ? null : row;
  };
  const dictionaries: CatalogReader['dictionaries'] = async (filter) => {
    if (filter.model !== undefined && hidden.has(filter.model)) return [];
    return (await reader.dictionaries(filter)).filter((row) => see(row) !== null);
  };
  const allowed = async (ids: Iterable<number>): Promise<(id: number) => boolean> => {
    const unknown = [...new Set(ids)].filter((id) => !shown.has(id));
    if (unknown.length > 0) for (const row of await reader.dictionariesById(unknown)) see(row);
    return (id) => shown.get(id) === true;
  };
  /** Reads the visible ones of a batch, with gaps where the others are. */
  const batch = async <Key, Row>(keys: readonly Key[], may: (key: Key) => boolean, read: (keys: readonly Key[]) => Promise<readonly Row[]>, gap: Row): Promise<readonly Row[]> => {
    if (keys.every(may)) return read(keys);
    const places = keys.flatMap((key, i) => (may(key) ? [i] : []));
    const rows = await read(places.map((i) => keys[i]!));
    const answer = keys.map(() => gap);
    for (const [n, place] of places.entries()) answer[place] = rows[n]!;
    return answer;
  };
  const byFeature = async <Row>(keys: readonly FeatureKey[], read: (keys: readonly FeatureKey[]) => Promise<readonly Row[]>, gap: Row): Promise<readonly Row[]> => {
    const may = await allowed(keys.map((key) => key.dictionaryId));
    return batch(keys, (key) => may(key.dictionaryId), read, gap);
  };
  let rule: Promise<(run: Run) => boolean> | undefined;
  const mayRun = (): Promise<(run: Run) => boolean> => (rule ??= runRule(reader, hidden));
  return {
    models: async () => (await reader.models()).filter(({ name }) => !hidden.has(name)),
    dictionaries,
    dictionariesById: async (ids) => (await reader.dictionariesById(ids)).map(see),
    features: (keys) => byFeature(keys, (some) => reader.features(some), null),
    async featurePage(filter, order, first, after) {
      const may = await allowed(filter.dictionaryIds);
      const dictionaryIds = filter.dictionaryIds.filter(may);
      return dictionaryIds.length === 0 ? { rows: [], hasNext: false } : reader.featurePage({ ...filter, dictionaryIds }, order, first, after);
    },
    explanations: (keys) => byFeature(keys, (some) => reader.explanations(some), []),
    explanationTexts: (keys) => byFeature(keys, (some) => reader.explanationTexts(some), []),
    skips: (keys) => byFeature(keys, (some) => reader.skips(some), []),
    async explanationSummaries(ids) {
      const may = await allowed(ids);
      return batch(ids, may, (some) => reader.explanationSummaries(some), []);
    },
    exemplars: (keys, kinds, limit) => byFeature(keys, (some) => reader.exemplars(some, kinds, limit), []),
    // Edges join features of one model.
    edges: (keys, direction, limit) => byFeature(keys, (some) => reader.edges(some, direction, limit), []),
    outputEdges: (keys, limit) => byFeature(keys, (some) => reader.outputEdges(some, limit), []),
    tokenSources: (keys, limit) => batch(keys, ({ model }) => !hidden.has(model), (some) => reader.tokenSources(some, limit), []),
    featureTokens: (keys) => byFeature(keys, (some) => reader.featureTokens(some), []),
    // Nearest features are of the same model.
    nearest: (keys) => byFeature(keys, (some) => reader.nearest(some), []),
    async tokenFeatures(request) {
      const may = await allowed(request.dictionaryIds);
      const dictionaryIds = request.dictionaryIds.filter(may);
      return dictionaryIds.length === 0 ? { rows: [], hasNext: false } : reader.tokenFeatures({ ...request, dictionaryIds });
    },
    async circuit(request) {
      const { target } = request;
      const may = 'model' in target ? !hidden.has(target.model) : (await allowed([target.dictionaryId]))(target.dictionaryId);
      return may ? reader.circuit(request) : { edges: [], truncated: false };
    },
    tokensNamed: async (model, text, limit) => (hidden.has(model) ? [] : reader.tokensNamed(model, text, limit)),
    tokens: async (model, ids) => (hidden.has(model) ? ids.map(() => null) : reader.tokens(model, ids)),
    async runs(keys) {
      const rows = await reader.runs(keys);
      const may = await mayRun();
      return rows.map((run) => (run === null || may(run) ? run : null));
    },
    async runPage(stage, first, after) {
      const may = await mayRun();
      const rows: Run[] = [];
      let from = after;
      for (;;) {
        // Hidden runs take no place on a page: more are read until it is full, and one beyond it is known.
        const page = await reader.runPage(stage, first + 1, from);
        rows.push(...page.rows.filter(may));
        if (rows.length > first || !page.hasNext) return { rows: rows.slice(0, first), hasNext: rows.length > first };
        const last = page.rows.at(-1)!;
        from = { startedAt: last.startedAt, key: last.key };
      }
    },
    async patchRun(id) {
      const run = await reader.patchRun(id);
      return run === null || hidden.has(run.input.model) ? null : run;
    },
    savePatchRun: (run) => reader.savePatchRun(run),
    healthy: () => reader.healthy(),
  };
}

/** Search in the dictionaries the reader shows, and in no others. */
export function visibleSearch(search: FeatureSearch, reader: CatalogReader, hidden: ReadonlySet<string>): FeatureSearch {
  if (hidden.size === 0) return search;
  const within = async <Filter extends SearchFilter>(filter: Filter): Promise<Filter> => {
    const ids = (await reader.dictionaries({})).map(({ id }) => id);
    const asked = filter.dictionaryIds;
    return { ...filter, dictionaryIds: asked === null ? ids : asked.filter((id) => ids.includes(id)), visible: ids };
  };
  return {
    search: async (request) => search.search(await within(request)),
    facets: async (filter, page) => search.facets(await within(filter), page),
  };
}

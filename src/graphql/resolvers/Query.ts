import { CallerError } from '../../domain/errors.ts';
import { parseAddress } from '../../domain/address.ts';
import { dictionaryPage, type DictionarySelection } from '../../catalog/dictionaries.ts';
import type { FeatureConditions, FeaturePageArgs } from '../../catalog/features.ts';
import { checkCount, LIMITS } from '../../catalog/limits.ts';
import type { SearchArgs, SearchResultPage } from '../../catalog/search.ts';
import type { FacetCounts } from '../../catalog/searchFacets.ts';
import { findToken, type TokenChoice } from '../../catalog/vocabulary.ts';
import { pageOfList, type ListKey, type PageArgs } from '../../catalog/page.ts';
import { runPage, type RunPageArgs } from '../../catalog/runs.ts';
import type { ActivationsArgs } from '../../catalog/activations.ts';
import type { ModelRow } from '../../ports/CatalogReader.ts';
import { compareFeatures } from './FeatureComparison.ts';
import type { Context, Resolver } from '../context.ts';
import { fromGlobalId } from '../ids.ts';
import { remember } from '../loaders.ts';
import { featureLists } from './Annotations.ts';
import { circuit } from './Circuit.ts';
import { connectionOf } from './connections.ts';
import { featureAt, loadNode } from './Node.ts';

const BY_NAME: ListKey<ModelRow> = { scope: 'models', shape: ['string'], key: (row) => [row.name] };

interface FeaturesArgs extends FeaturePageArgs {
  readonly filter?: (DictionarySelection & FeatureConditions) | null;
}

interface SearchFeaturesArgs extends PageArgs {
  readonly query: string;
  readonly prefix?: boolean | null;
  readonly filter?: (DictionarySelection & { readonly explainers?: readonly string[] | null; readonly minScore?: number | null }) | null;
}

/** The part of a filter that selects dictionaries, in a fixed order of keys: cursors hash it. */
function selectionOf(filter: DictionarySelection | null | undefined): DictionarySelection {
  return { model: filter?.model ?? null, dictionaries: filter?.dictionaries ?? null, layers: filter?.layers ?? null };
}

export const Query = {
  node: ((_, { id }, context) => loadNode(id, context)) satisfies Resolver<unknown, { id: string }>,
  nodes: ((_, { ids }, context) => {
    checkCount('ids.length', ids.length, 0, LIMITS.page);
    return Promise.all(ids.map((id) => loadNode(id, context)));
  }) satisfies Resolver<unknown, { ids: readonly string[] }>,
  server: () => ({}),
  models: (async (_, args, { catalog }) => {
    const rows = [...(await catalog.reader.models())].sort((a, b) => (a.name < b.name ? -1 : 1));
    return connectionOf(pageOfList(rows, BY_NAME, args));
  }) satisfies Resolver<unknown, PageArgs>,
  model: ((_, { name }, { loaders }) => loaders.model.load(name)) satisfies Resolver<unknown, { name: string }>,
  dictionary: ((_, { model, name }, { loaders }) => loaders.dictionaryByName.load(`${model}/${name}`)) satisfies Resolver<
    unknown,
    { model: string; name: string }
  >,
  dictionaries: (async (_, { filter, ...args }, { catalog }) =>
    connectionOf(await dictionaryPage(catalog.reader, filter ?? {}, args))) satisfies Resolver<
    unknown,
    PageArgs & { filter?: DictionarySelection | null }
  >,
  feature: ((_, { address }, context) => featureAt(parseAddress(address), context)) satisfies Resolver<unknown, { address: string }>,
  features: (async (_, { filter, ...args }, { catalog, loaders }) => {
    const connection = connectionOf(await catalog.features({ ...selectionOf(filter), architectures: filter?.architectures ?? null }, filter ?? {}, args));
    remember(loaders, connection.nodes);
    return connection;
  }) satisfies Resolver<unknown, FeaturesArgs>,
  searchFeatures: (async (_, { query, filter, ...args }, { catalog, loaders }) => {
    const asked: SearchArgs = { ...args, query, selection: selectionOf(filter), explainers: filter?.explainers ?? null, minScore: filter?.minScore ?? null };
    const page = await catalog.search(asked);
    const connection = connectionOf(page);
    remember(loaders, connection.nodes);
    const { matched, engine, fallback, order, total } = page;
    return { ...connection, matched, engine, fallback, order, total, asked, page };
  }) satisfies Resolver<unknown, SearchFeaturesArgs>,
  activations: ((_, args, { catalog }) => catalog.activations({ ...args, dictionaries: args.dictionaries ?? null })) satisfies Resolver<
    unknown,
    ActivationsArgs
  >,
  token: ((_, args, { catalog }) => findToken(catalog.reader, args)) satisfies Resolver<unknown, TokenChoice>,
  circuit,
  compareFeatures,
  featureLists,
  patchRun: ((_, { id }, { catalog }) => {
    const global = fromGlobalId(id);
    if (global?.type !== 'PatchRun') {
      throw new CallerError('BAD_INPUT', 'id is no id of a PatchRun: expected the `id` of one', { field: ['id'] });
    }
    return catalog.reader.patchRun(global.key);
  }) satisfies Resolver<unknown, { id: string }>,
  runs: (async (_, args, { catalog }) => connectionOf(await runPage(catalog.reader, args))) satisfies Resolver<unknown, RunPageArgs>,
  run: ((_, { key }, { loaders }) => loaders.run.load(key)) satisfies Resolver<unknown, { key: string }>,
};

/** What a page of a search was found by. */
interface FoundPage {
  readonly asked: SearchArgs;
  readonly page: SearchResultPage;
}

export const FeatureSearchConnection = {
  // Counting takes a statement of its own.
  facets: (({ asked, page }, _, { catalog }) => catalog.searchFacets(asked, page)) satisfies Resolver<FoundPage>,
};

/** Facets in the shapes of the contract, which names what each value is. */
export const SearchFacets = {
  models: (({ models }) => models.map(({ value, count }) => ({ name: value, count }))) satisfies Resolver<FacetCounts>,
  dictionaries: (({ dictionaries }) => dictionaries.map(({ value, count }) => ({ dictionary: value, count }))) satisfies Resolver<FacetCounts>,
  layers: (({ layers }) => layers.map(({ value, count }) => ({ layer: value, count }))) satisfies Resolver<FacetCounts>,
  explainers: (({ explainers }) => explainers.map(({ value, count }) => ({ name: value, count }))) satisfies Resolver<FacetCounts>,
};

export const Server = {
  version: ((_, __, { catalog }) => catalog.version) satisfies Resolver,
  explainMethods: ((_, __, { catalog }) => catalog.explainMethods) satisfies Resolver,
  explainScorers: ((_, __, { catalog }) => catalog.explainScorers) satisfies Resolver,
  healthy: ((_, __, { catalog }: Context) => catalog.reader.healthy()) satisfies Resolver,
};

import { featurePage, type FeatureConditions, type FeaturePageArgs } from '../../catalog/features.ts';
import type { DictionaryRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';
import { remember } from '../loaders.ts';
import { connectionOf } from './connections.ts';

interface FeaturesArgs extends FeaturePageArgs {
  readonly filter?: FeatureConditions | null;
}

export const Dictionary = {
  id: ((row) => toGlobalId('Dictionary', `${row.model}/${row.name}`)) satisfies Resolver<DictionaryRow>,
  model: ((row, _, { loaders }) => loaders.model.load(row.model)) satisfies Resolver<DictionaryRow>,
  trainRun: ((row, _, { loaders }) => loaders.run.load(row.trainRun)) satisfies Resolver<DictionaryRow>,
  analyseRun: ((row, _, { loaders }) => (row.analyseRun === null ? null : loaders.run.load(row.analyseRun))) satisfies Resolver<DictionaryRow>,
  explainRun: (async (row, _, { loaders }) => {
    const [first] = await loaders.summaries.load(row.id);
    return first === undefined ? null : loaders.run.load(first.run);
  }) satisfies Resolver<DictionaryRow>,
  explanationSummaries: ((row, _, { loaders }) => loaders.summaries.load(row.id)) satisfies Resolver<DictionaryRow>,
  feature: ((row, { index }, { loaders }) =>
    index < 0 || index >= row.nFeatures ? null : loaders.feature.load({ dictionaryId: row.id, index })) satisfies Resolver<
    DictionaryRow,
    { index: number }
  >,
  // One statement per dictionary of the request: pages of several dictionaries cannot be read by one keyset. Its @cost says so.
  features: (async (row, { filter, ...args }, { catalog, loaders }) => {
    const connection = connectionOf(await featurePage(catalog.reader, [row], filter ?? {}, args));
    remember(loaders, connection.nodes);
    return connection;
  }) satisfies Resolver<DictionaryRow, FeaturesArgs>,
};

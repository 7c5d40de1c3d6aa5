import { pageOfDictionaries } from '../../catalog/dictionaries.ts';
import { pageOfList, type ListKey, type PageArgs } from '../../catalog/page.ts';
import type { Run as DomainRun } from '../../domain/run.ts';
import type { ExplanationSummaryRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';
import { connectionOf } from './connections.ts';

const BY_DICTIONARY_AND_EXPLAINER: ListKey<ExplanationSummaryRow> = {
  scope: 'summaries',
  shape: ['index', 'string'],
  key: ({ dictionaryId, explainer }) => [dictionaryId, explainer],
};

export const Run = {
  id: ((run) => toGlobalId('Run', run.key)) satisfies Resolver<DomainRun>,
  inputs: ((run) =>
    Object.entries(run.inputs)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, hash]) => ({ name, hash }))) satisfies Resolver<DomainRun>,
  trainedDictionaries: (async ({ key }, args, { loaders }) => connectionOf(pageOfDictionaries((await loaders.madeBy.load(key)).trained, args))) satisfies Resolver<DomainRun, PageArgs>,
  analysedDictionaries: (async ({ key }, args, { loaders }) => connectionOf(pageOfDictionaries((await loaders.madeBy.load(key)).analysed, args))) satisfies Resolver<DomainRun, PageArgs>,
  explanationSummaries: (async ({ key }, args, { loaders }) => {
    const rows = [...(await loaders.explainedBy.load(key))].sort((a, b) => a.dictionaryId - b.dictionaryId || (a.explainer < b.explainer ? -1 : 1));
    return connectionOf(pageOfList(rows, BY_DICTIONARY_AND_EXPLAINER, args));
  }) satisfies Resolver<DomainRun, PageArgs>,
};

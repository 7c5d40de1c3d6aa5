import { dictionaryPage } from '../../catalog/dictionaries.ts';
import type { PageArgs } from '../../catalog/page.ts';
import type { ModelRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';
import { connectionOf } from './connections.ts';

export const Model = {
  id: ((row) => toGlobalId('Model', row.name)) satisfies Resolver<ModelRow>,
  dictionaries: (async (row, args, { catalog }) =>
    connectionOf(await dictionaryPage(catalog.reader, { model: row.name }, args))) satisfies Resolver<ModelRow, PageArgs>,
};

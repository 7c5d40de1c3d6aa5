import type { DictionaryArchitecture } from '../domain/dictionary.ts';
import type { CatalogReader, DictionaryRow } from '../ports/CatalogReader.ts';
import { checkList } from './limits.ts';
import { compareKeys, pageOfList, type ListKey, type Page, type PageArgs } from './page.ts';

/** Conditions on dictionaries; absent or null ones hold for all, given ones must all hold. */
export interface DictionarySelection {
  readonly model?: string | null;
  readonly dictionaries?: readonly string[] | null;
  readonly layers?: readonly number[] | null;
  readonly architectures?: readonly DictionaryArchitecture[] | null;
}

const BY_MODEL_LAYER_NAME: ListKey<DictionaryRow> = {
  scope: 'dictionaries',
  shape: ['string', 'index', 'string'],
  key: (row) => [row.model, row.layer, row.name],
};

/** Dictionaries that satisfy the selection, by model, layer and name. One statement. */
export async function selectDictionaries(reader: CatalogReader, selection: DictionarySelection): Promise<DictionaryRow[]> {
  checkList('dictionaries', selection.dictionaries);
  checkList('layers', selection.layers);
  checkList('architectures', selection.architectures);
  const model = selection.model ?? undefined;
  const names = selection.dictionaries ?? undefined;
  const rows = await reader.dictionaries({ ...(model === undefined ? {} : { model }), ...(names === undefined ? {} : { names }) });
  return rows
    .filter(
      (row) =>
        (selection.dictionaries?.includes(row.name) ?? true) &&
        (selection.layers?.includes(row.layer) ?? true) &&
        (selection.architectures?.includes(row.architecture) ?? true),
    )
    .sort((a, b) => compareKeys(BY_MODEL_LAYER_NAME.key(a), BY_MODEL_LAYER_NAME.key(b)));
}

/** A page of dictionaries at hand. */
export function pageOfDictionaries(rows: readonly DictionaryRow[], args: PageArgs): Page<DictionaryRow> {
  return pageOfList([...rows].sort((a, b) => compareKeys(BY_MODEL_LAYER_NAME.key(a), BY_MODEL_LAYER_NAME.key(b))), BY_MODEL_LAYER_NAME, args);
}

export async function dictionaryPage(reader: CatalogReader, selection: DictionarySelection, args: PageArgs): Promise<Page<DictionaryRow>> {
  return pageOfList(await selectDictionaries(reader, selection), BY_MODEL_LAYER_NAME, args);
}

/** Dictionaries by (model, name), in the order asked, null in gaps. One statement, however many. */
export async function dictionariesByName(
  reader: CatalogReader,
  names: readonly { readonly model: string; readonly name: string }[],
): Promise<(DictionaryRow | null)[]> {
  const models = new Set(names.map((n) => n.model));
  const rows = await reader.dictionaries({
    ...(models.size === 1 ? { model: names[0]!.model } : {}),
    names: [...new Set(names.map((n) => n.name))],
  });
  const found = new Map(rows.map((row) => [`${row.model}/${row.name}`, row]));
  return names.map((n) => found.get(`${n.model}/${n.name}`) ?? null);
}

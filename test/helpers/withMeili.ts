import { randomUUID } from 'node:crypto';
import { Meilisearch } from 'meilisearch';
import { MeilisearchIndex } from '../../src/adapters/meilisearch/MeilisearchIndex.ts';
import { MeilisearchSearch } from '../../src/adapters/meilisearch/MeilisearchSearch.ts';
import type { MeiliOptions } from '../../src/adapters/meilisearch/connection.ts';
import type { IndexParts } from '../../src/catalog/searchIndex/parts.ts';
import type { EmbeddingModel } from '../../src/ports/EmbeddingModel.ts';
import type { SearchOutbox } from '../../src/ports/SearchOutbox.ts';

/** The server of MEILI_URL. Tests that need one skip with `reason` where there is none. */
export const MEILI: { readonly url: string; readonly key: string | undefined } | null =
  process.env['MEILI_URL'] === undefined || process.env['MEILI_URL'] === '' ? null : { url: process.env['MEILI_URL'], key: process.env['MEILI_KEY'] };
export const NO_MEILI: string | false = MEILI === null ? 'no MEILI_URL: Meilisearch itself was not asked' : false;

export interface TestIndex extends IndexParts {
  readonly options: MeiliOptions;
  readonly index: MeilisearchIndex;
  search(more?: Partial<ConstructorParameters<typeof MeilisearchSearch>[0]>): MeilisearchSearch;
  /** The server itself. */
  readonly client: Meilisearch;
}

/** An index of this test alone, on the server of MEILI_URL; removed afterwards with whatever was built beside it. */
export async function withMeili(outbox: SearchOutbox, work: (index: TestIndex) => Promise<void>, embeddings: EmbeddingModel | null = null): Promise<void> {
  if (MEILI === null) throw new Error('no MEILI_URL');
  const name = `test-${randomUUID()}`;
  // A test machine may be busy: the time limit has tests of its own.
  const options: MeiliOptions = { url: MEILI.url, key: MEILI.key, index: name, searchTimeoutMs: 20_000 };
  const index = new MeilisearchIndex(options);
  const client = new Meilisearch({ host: MEILI.url, ...(MEILI.key === undefined ? {} : { apiKey: MEILI.key }) });
  try {
    await work({ options, index, outbox, embeddings, client, search: (more = {}) => new MeilisearchSearch({ ...options, catalog: () => outbox.catalogId(), ...more }) });
  } finally {
    await index.discardUnfinished();
    await client.deleteIndex(name).waitTask({ timeout: 60_000 });
  }
}

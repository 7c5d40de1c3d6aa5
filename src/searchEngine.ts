import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { MeilisearchIndex } from './adapters/meilisearch/MeilisearchIndex.ts';
import { MeilisearchSearch } from './adapters/meilisearch/MeilisearchSearch.ts';
import type { MeiliOptions } from './adapters/meilisearch/connection.ts';
import { followOutbox } from './catalog/searchIndex/follow.ts';
import { queryVectors } from './catalog/searchIndex/queryVectors.ts';
import { searchWithFallback } from './catalog/searchWithFallback.ts';
import type { SearchConfig } from './config.ts';
import { cachedModels, openLanguageModels, type LanguageModelHost } from './languageModels.ts';
import { UnderWay } from './pipelines/underWay.ts';
import type { EmbeddingModel } from './ports/EmbeddingModel.ts';
import type { FeatureSearch } from './ports/FeatureSearch.ts';
import type { Meters } from './ports/Meters.ts';
import type { SearchOutbox } from './ports/SearchOutbox.ts';

/** Longest that closing waits for a dictionary that is being sent. */
const CLOSING_MS = 5000;

export interface SearchSurroundings {
  /** Search in the catalog's own database. */
  readonly inDatabase: FeatureSearch;
  readonly outbox: SearchOutbox;
  readonly log: Logger;
  readonly meters?: Meters | undefined;
}

/**
 * The server's search: PostgreSQL, or where there is a MEILI_URL Meilisearch with PostgreSQL behind it. Then the server also tells
 * the index of what changes; several servers share that work.
 */
export function openSearch(config: LanguageModelHost & { readonly search?: SearchConfig }, { inDatabase, outbox, log, meters }: SearchSurroundings): { readonly search: FeatureSearch; close(): Promise<void> } {
  const options = config.search === undefined ? null : meiliOptions(config.search);
  if (options === null) return { search: inDatabase, close: () => Promise.resolve() };
  const fallbacks = meters?.counter('search_fallbacks_total', 'Searches that PostgreSQL answered because Meilisearch could not.', []);
  let said: string | null = null;
  const embeddings = lazyEmbeddings(config);
  const vector = embeddings === null ? null : queryVectors(embeddings.model, { onFailure: (reason) => log.warn({ reason }, 'no vector for a search: it goes by words') });
  const preferred = new MeilisearchSearch({
    ...options,
    catalog: once(() => outbox.catalogId()),
    ...(embeddings === null || vector === null ? {} : { embedding: { model: embeddings.model.name, vector } }),
  });
  const search = searchWithFallback({
    preferred,
    catalog: inDatabase,
    onFallback(reason) {
      fallbacks?.add({});
      if (reason !== said) log.warn({ reason }, 'PostgreSQL searches in place of Meilisearch');
      said = reason;
    },
  });
  const follower = followOutbox(
    { index: new MeilisearchIndex(options), outbox, embeddings: embeddings?.model ?? null },
    { onDrained: (drained) => log.debug(drained, 'the search index was told of changes'), onFailure: (reason) => log.warn({ reason }, 'the search index is not told of changes now; none is lost') },
  );
  return {
    search,
    async close() {
      // What it is in the middle of is sent again by whoever comes next.
      await Promise.race([follower.stop(), pause(CLOSING_MS, undefined, { ref: false })]);
      await embeddings?.close();
    },
  };
}

/** Null where no server is named. */
export function meiliOptions({ url, key, index }: SearchConfig): MeiliOptions | null {
  return url === undefined ? null : { url, key, index };
}

/** The embedding model of the environment, through its cache, opened by the first text; null where none is named. */
export function lazyEmbeddings(host: LanguageModelHost): { readonly model: EmbeddingModel; close(): Promise<void> } | null {
  const { embeddingModel, baseUrl, apiKey } = host.languageModels;
  if (embeddingModel === undefined || (baseUrl === undefined && apiKey === undefined)) return null;
  const underWay = new UnderWay();
  const open = once(() => openLanguageModels(host, { writer: null, judge: null, embeddings: embeddingModel }, { concurrency: 8 }));
  let opened = false;
  return {
    model: {
      name: embeddingModel,
      identity: { model: embeddingModel },
      async embed(texts) {
        const { embeddings } = cachedModels(await open(), underWay);
        opened = true;
        if (embeddings === null) throw new Error('no embedding model was opened');
        return embeddings.embed(texts);
      },
    },
    async close() {
      await underWay.settled();
      if (opened) await (await open()).close();
    },
  };
}

/** What `work` gave, asked for until it gives something. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () =>
    (asked ??= work().catch((error: unknown) => {
      asked = null;
      throw error;
    }));
}

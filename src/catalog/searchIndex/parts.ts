import { OutsideError } from '../../domain/errors.ts';
import type { EmbeddingModel } from '../../ports/EmbeddingModel.ts';
import type { IndexState, IndexVectors, SearchDocument, SearchIndex, SearchIndexWriter } from '../../ports/SearchIndex.ts';
import type { OutboxChanges, SearchOutbox } from '../../ports/SearchOutbox.ts';

/** What keeping a search index needs. */
export interface IndexParts {
  readonly index: SearchIndex;
  readonly outbox: SearchOutbox;
  /** Makes vectors of descriptions; null = searched by words only. */
  readonly embeddings: EmbeddingModel | null;
}

/** Documents of one request: some megabytes, and some dozens of requests for vectors. */
export const BATCH = { words: 10_000, vectors: 1000 } as const;

/** Puts documents with their vectors, where the index holds any. */
export async function putDocuments(writer: SearchIndexWriter, documents: readonly SearchDocument[], embeddings: EmbeddingModel | null, vectors: IndexVectors | null, revision: number): Promise<void> {
  const made = vectors === null || embeddings === null ? null : await embeddings.embed(documents.map(({ description }) => description));
  if (made !== null && made.some((vector) => vector.length !== vectors?.dimensions)) {
    throw new OutsideError('embeddings', `the embedding model makes vectors of another length than ${vectors?.dimensions}, which the index was built for: build it again with index --rebuild`);
  }
  await writer.put(documents, made, revision);
}

/** Brings an index up to what the catalog now says of these features. `alive` is asked before every batch, and may throw. */
export async function putChanges(
  { outbox, embeddings }: IndexParts,
  writer: SearchIndexWriter,
  vectors: IndexVectors | null,
  { dictionaryId, indices, revision }: OutboxChanges,
  alive: () => Promise<void>,
): Promise<number> {
  let count = 0;
  for await (const documents of outbox.documents(dictionaryId, indices, vectors === null ? BATCH.words : BATCH.vectors)) {
    await alive();
    await putDocuments(writer, documents, embeddings, vectors, revision);
    count += documents.length;
  }
  await alive();
  // New ones first, then what is left of the old: a reader finds the one or the other all the while.
  await writer.prune(dictionaryId, indices, revision);
  return count;
}

/** Why an index cannot be brought in step as it is; null when it can. */
export function unfitness(state: IndexState | null, catalog: string, embeddings: EmbeddingModel | null): string | null {
  if (state === null) return 'there is none yet';
  if (!state.current) return 'it is of another version of this program';
  if (state.catalog !== catalog) return 'it is of another catalog';
  if (state.vectors !== null && embeddings !== null && state.vectors.model !== embeddings.name) return `its vectors are of ${state.vectors.model}, not of ${embeddings.name}`;
  return null;
}

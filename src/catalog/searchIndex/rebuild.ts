import type { IndexPlan, IndexVectors, SearchIndexBuild } from '../../ports/SearchIndex.ts';
import type { OutboxBuild } from '../../ports/SearchOutbox.ts';
import { BATCH, putChanges, putDocuments, type IndexParts } from './parts.ts';

export interface Rebuilt {
  readonly explanations: number;
  /** Half-built indices of processes that died, removed. */
  readonly discarded: number;
}

/** Documents of a build have this revision: every change since has a higher one. */
const FIRST_REVISION = 0;

/**
 * Builds the index anew beside the one that answers, and puts it in its place at once. Memory does not grow with the catalog. What
 * changes meanwhile goes to the one that answers, and to the new one before it takes over.
 */
export async function rebuildIndex(parts: IndexParts, synonyms: IndexPlan['synonyms'], progress: (explanations: number) => void = () => undefined): Promise<Rebuilt> {
  const { index, outbox, embeddings } = parts;
  const building = await outbox.beginBuild();
  let build: SearchIndexBuild | null = null;
  try {
    const discarded = await index.discardUnfinished();
    const vectors = await vectorsOf(parts);
    build = await index.build({ catalog: await outbox.catalogId(), vectors, synonyms });
    let explanations = 0;
    for await (const documents of outbox.documents(null, null, vectors === null ? BATCH.words : BATCH.vectors)) {
      await putDocuments(build, documents, embeddings, vectors, FIRST_REVISION);
      explanations += documents.length;
      progress(explanations);
    }
    await build.settled();
    const replayed = new Map<string, string>();
    await replay(parts, build, vectors, building, replayed);
    await building.pause();
    await replay(parts, build, vectors, building, replayed);
    await build.publish();
    await building.end(replayed);
    return { explanations, discarded };
  } catch (error) {
    // What is left over is removed by the next one: the first failure is the one to tell of.
    await build?.discard().catch(() => undefined);
    await building.end().catch(() => undefined);
    throw error;
  }
}

/** Tells the new index of what has changed since the build began, until nothing is new. */
async function replay(parts: IndexParts, build: SearchIndexBuild, vectors: IndexVectors | null, building: OutboxBuild, replayed: Map<string, string>): Promise<void> {
  for (const changes of await building.changes(replayed)) {
    await putChanges(parts, build, vectors, changes, () => Promise.resolve());
    for (const [index, revision] of changes.rows) replayed.set(`${changes.dictionaryId}/${index}`, revision);
  }
  await build.settled();
}

async function vectorsOf({ embeddings }: IndexParts): Promise<IndexVectors | null> {
  if (embeddings === null) return null;
  const [vector] = await embeddings.embed(['length of a vector']);
  return vector === undefined ? null : { model: embeddings.name, dimensions: vector.length };
}

import { z } from 'zod';
import type { SearchIndexWriter } from '../../ports/SearchIndex.ts';
import { MeiliFailure, type MeiliConnection } from './connection.ts';
import { storedDocument, type Stamp } from './documents.ts';
import { IS_EXPLANATION, MOST_FACETS } from './settings.ts';
import { Enqueued, taskDone } from './tasks.ts';

/** Work the server has taken on and not done; more is sent when some is. */
const UNDER_WAY = 4;

const Counts = z.object({ facetDistribution: z.object({ dictionaryId: z.record(z.string(), z.number().int()) }) });

/** Writes to the index `uid` of this stamp. */
export function meiliWriter(connection: MeiliConnection, uid: string, stamp: Omit<Stamp, 'revision'>): SearchIndexWriter {
  const running = new Set<Promise<void>>();
  let failure: unknown = null;
  const follow = async (path: string, body: object): Promise<void> => {
    if (failure !== null) throw failure;
    const { taskUid } = await connection.ask('post', Enqueued, { path: `indexes/${uid}/${path}`, body });
    const done = taskDone(connection, taskUid)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => running.delete(done));
    running.add(done);
    while (running.size >= UNDER_WAY) await Promise.race(running);
  };
  return {
    async put(documents, vectors, revision) {
      if (documents.length === 0) return;
      if (vectors !== null && vectors.length !== documents.length) throw new MeiliFailure(`${vectors.length} vectors came for ${documents.length} descriptions`);
      await follow('documents', documents.map((document, i) => storedDocument(document, vectors?.[i] ?? null, { ...stamp, revision })));
    },
    async prune(dictionaryId, indices, revision) {
      const features = indices === null ? '' : ` AND index IN [${indices.join(', ')}]`;
      await follow('documents/delete', { filter: `dictionaryId = ${dictionaryId}${features} AND revision < ${revision}` });
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
      if (failure === null) return;
      const failed = failure;
      failure = null;
      throw failed;
    },
    async counts() {
      const body = { q: '', filter: IS_EXPLANATION, facets: ['dictionaryId'], hitsPerPage: 0 };
      const { facetDistribution } = await connection.ask('post', Counts, { path: `indexes/${uid}/search`, body });
      const counts = Object.entries(facetDistribution.dictionaryId).map(([id, count]) => [Number(id), count] as const);
      return new Map(counts.slice(0, MOST_FACETS).sort(([a], [b]) => a - b));
    },
  };
}

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../domain/errors.ts';
import type { EmbeddingModel } from '../../ports/EmbeddingModel.ts';

/** Vectors of queries that are kept: another page of a list asks for the same. */
const KEPT = 500;

export interface QueryVectorOptions {
  /** Longest a query waits for its vector; default 1,000 ms. */
  readonly waitMs?: number;
  /** After a failure nothing is asked for so long; default 5,000 ms. */
  readonly restMs?: number;
  readonly onFailure?: (reason: string) => void;
}

/** Vectors of queries, null where the embedding model fails or is late: then words must do. */
export function queryVectors(model: EmbeddingModel, { waitMs = 1000, restMs = 5000, onFailure }: QueryVectorOptions = {}): (query: string) => Promise<Float32Array | null> {
  const kept = new Map<string, Float32Array>();
  let restsUntil = 0;
  return async (query) => {
    const known = kept.get(query);
    if (known !== undefined) return known;
    if (performance.now() < restsUntil) return null;
    const waiting = new AbortController();
    try {
      const asked = model.embed([query]);
      const late = pause(waitMs, undefined, { signal: waiting.signal, ref: false }).then(() => {
        throw new Error(`no vector within ${waitMs} ms`);
      });
      late.catch(() => undefined);
      const [vector] = await Promise.race([asked, late]);
      if (vector === undefined) throw new Error('no vector came');
      if (kept.size >= KEPT) kept.delete(kept.keys().next().value ?? '');
      kept.set(query, vector);
      return vector;
    } catch (error) {
      restsUntil = performance.now() + restMs;
      onFailure?.(messageOf(error));
      return null;
    } finally {
      waiting.abort();
    }
  };
}

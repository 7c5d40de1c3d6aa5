import { promptBound } from '../../interp/requestBound.ts';
import { invariant } from '../../domain/errors.ts';
import type { EmbeddingModel } from '../../ports/EmbeddingModel.ts';
import type { ReplyCache } from '../../ports/ReplyCache.ts';
import type { Budget } from './budget.ts';
import { requestKey } from './requestKey.ts';

/** Texts asked for and kept at once: what a kill can lose. */
const GROUP = 64;

/**
 * An embedding model that asks for no text twice, neither at once nor later. Vectors are kept exactly (base64 of their bytes). The
 * port tells no usage: what is sent counts for the budget at its upper bound, as prompt tokens.
 */
export function cachedEmbeddings(embeddings: EmbeddingModel, cache: ReplyCache, budget?: Budget): EmbeddingModel {
  const underWay = new Map<string, Promise<Float32Array>>();

  const ask = async (texts: readonly string[], keys: readonly string[]): Promise<readonly Float32Array[]> => {
    const bound = { promptTokens: promptBound(texts), completionTokens: 0 };
    const reservation = await budget?.reserve(bound);
    let vectors: readonly Float32Array[];
    try {
      vectors = await embeddings.embed(texts);
    } catch (error) {
      await reservation?.release();
      throw error;
    }
    try {
      await Promise.all(vectors.map((vector, i) => cache.put(keys[i], encode(vector))));
    } finally {
      await reservation?.settle({ ...bound, estimated: true });
    }
    return vectors;
  };

  const embed = async (texts: readonly string[]): Promise<readonly Float32Array[]> => {
    const keys = texts.map((text) => requestKey([embeddings.identity, 'embedding', text]));
    // Texts nobody is asking for: claimed before anything is awaited, so that two callers never claim the same.
    const mine = new Map<string, { readonly text: string; readonly vector: PromiseWithResolvers<Float32Array> }>();
    texts.forEach((text, i) => {
      if (underWay.has(keys[i])) return;
      const vector = Promise.withResolvers<Float32Array>();
      vector.promise.catch(() => undefined); // told to every caller below
      underWay.set(keys[i], vector.promise);
      mine.set(keys[i], { text, vector });
    });
    const wanted = keys.map((key) => underWay.get(key)!);
    const serve = async (group: readonly string[]): Promise<void> => {
      const missing: string[] = [];
      for (const key of group) {
        const kept = await cache.get(key);
        if (kept === null) missing.push(key);
        else {
          budget?.hit();
          mine.get(key)!.vector.resolve(decode(kept));
        }
      }
      if (missing.length === 0) return;
      const vectors = await ask(missing.map((key) => mine.get(key)!.text), missing); // prettier-ignore
      vectors.forEach((vector, i) => mine.get(missing[i])!.vector.resolve(vector));
    };
    const all = [...mine.keys()];
    const groups = Array.from({ length: Math.ceil(all.length / GROUP) }, (_, g) => all.slice(g * GROUP, (g + 1) * GROUP));
    const served = groups.map((group) =>
      serve(group)
        .catch((error: unknown) => group.forEach((key) => mine.get(key)!.vector.reject(error))) // no effect on those already resolved
        .finally(() => group.forEach((key) => underWay.delete(key))),
    );
    await Promise.all(served);
    return await Promise.all(wanted);
  };
  return { name: embeddings.name, identity: embeddings.identity, embed };
}

function encode(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

function decode(kept: unknown): Float32Array {
  invariant(typeof kept === 'string', 'an embedding is kept as text');
  const bytes = Buffer.from(kept, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

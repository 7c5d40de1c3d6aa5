import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { IndexPlan, IndexState, SearchIndex, SearchIndexBuild } from '../../ports/SearchIndex.ts';
import { MeiliConnection, MeiliFailure, type MeiliOptions } from './connection.ts';
import { EMBEDDER, FORMAT, META, settingsOf } from './settings.ts';
import { Enqueued, taskDone } from './tasks.ts';
import { meiliWriter } from './writer.ts';

export const DEFAULT_INDEX = 'features';

const Meta = z.object({
  meta: z.object({
    format: z.number().int(),
    generation: z.string().min(1).max(64),
    catalog: z.string(),
    vectors: z.object({ model: z.string(), dimensions: z.number().int().positive() }).nullable(),
    synonyms: z.array(z.array(z.string())),
  }),
});
const Indexes = z.object({ results: z.array(z.object({ uid: z.string() })), total: z.number().int() });

/**
 * Reads what the index says of itself: a document written last when it was built, so that an index that has it is whole. Null
 * when there is no index, or one that came into being by accident.
 */
export async function readState(connection: MeiliConnection, uid: string, timeoutMs?: number): Promise<IndexState | null> {
  try {
    const { meta } = await connection.ask('get', Meta, { path: `indexes/${uid}/documents/${META}`, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    const { format, ...state } = meta;
    return { ...state, current: format === FORMAT };
  } catch (error) {
    if (error instanceof MeiliFailure && (error.code === 'index_not_found' || error.code === 'document_not_found')) return null;
    throw error;
  }
}

/** The index in Meilisearch. A new one is built under another name, and takes the name of the old one in one step of the server. */
export class MeilisearchIndex implements SearchIndex {
  readonly name: string;
  readonly #connection: MeiliConnection;

  constructor(options: MeiliOptions) {
    this.name = options.index ?? DEFAULT_INDEX;
    this.#connection = new MeiliConnection(options);
  }

  state(): Promise<IndexState | null> {
    return readState(this.#connection, this.name);
  }

  live({ generation, vectors }: IndexState) {
    return meiliWriter(this.#connection, this.name, { generation, embeds: vectors !== null });
  }

  async build(plan: IndexPlan): Promise<SearchIndexBuild> {
    const generation = randomUUID().slice(0, 8);
    const uid = `${this.#prefix}${generation}`;
    const connection = this.#connection;
    await this.#work('post', 'indexes', { uid, primaryKey: 'id' });
    await this.#work('patch', `indexes/${uid}/settings`, settingsOf(plan));
    return {
      name: uid,
      ...meiliWriter(connection, uid, { generation, embeds: plan.vectors !== null }),
      publish: () => this.#publish(uid, { format: FORMAT, generation, ...plan }),
      discard: () => this.#remove(uid),
    };
  }

  async discardUnfinished(): Promise<number> {
    const names: string[] = [];
    for (let offset = 0; ; offset += 100) {
      const { results, total } = await this.#connection.ask('get', Indexes, { path: 'indexes', params: { offset, limit: 100 } });
      names.push(...results.map(({ uid }) => uid).filter((uid) => uid.startsWith(this.#prefix)));
      if (results.length === 0 || offset + results.length >= total) break;
    }
    for (const uid of names) await this.#remove(uid);
    return names.length;
  }

  get #prefix(): string {
    return `${this.name}--build-`;
  }

  async #publish(uid: string, meta: IndexPlan & { readonly format: number; readonly generation: string }): Promise<void> {
    const none = meta.vectors === null ? {} : { _vectors: { [EMBEDDER]: null } };
    await this.#work('post', `indexes/${uid}/documents`, [{ id: META, meta, ...none }]);
    const exists = await this.#exists();
    await this.#work('post', 'swap-indexes', [exists ? { indexes: [this.name, uid] } : { indexes: [uid, this.name], rename: true }]);
    if (exists) await this.#remove(uid);
  }

  async #exists(): Promise<boolean> {
    try {
      await this.#connection.ask('get', z.object({ uid: z.string() }), { path: `indexes/${this.name}` });
      return true;
    } catch (error) {
      if (error instanceof MeiliFailure && error.code === 'index_not_found') return false;
      throw error;
    }
  }

  async #remove(uid: string): Promise<void> {
    await this.#work('delete', `indexes/${uid}`);
  }

  async #work(method: 'post' | 'patch' | 'delete', path: string, body?: object): Promise<void> {
    const { taskUid } = await this.#connection.ask(method, Enqueued, { path, ...(body === undefined ? {} : { body }) });
    await taskDone(this.#connection, taskUid);
  }
}

import type { ApolloServerOptions } from '@apollo/server';
import type { Context } from './context.ts';
import type { Safelist } from './safelist.ts';

/** Documents that clients registered by hash, together, in characters; the longest unused goes first. */
const MOST_CHARACTERS = 4 << 20;
/** Apollo writes this before each hash. */
const PREFIX = 'apq:';

type PersistedQueries = Exclude<ApolloServerOptions<Context>['persistedQueries'], false | undefined>;
type Cache = NonNullable<PersistedQueries['cache']>;

/** Where automatic persisted queries are kept: what clients register or, with a safelist, what is on it. */
export function persistedDocuments(safelist: Safelist | undefined, most = MOST_CHARACTERS): Cache {
  if (safelist === undefined) return boundedCache(most);
  return {
    get: async (key) => safelist.document(key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key),
    // The list is complete, and nobody adds to it by asking.
    set: async () => undefined,
    delete: async () => undefined,
  };
}

function boundedCache(most: number): Cache {
  const kept = new Map<string, string>();
  let characters = 0;
  const drop = (key: string): boolean => {
    characters -= kept.get(key)?.length ?? 0;
    return kept.delete(key);
  };
  return {
    async get(key) {
      const text = kept.get(key);
      if (text === undefined) return undefined;
      kept.delete(key);
      kept.set(key, text);
      return text;
    },
    async set(key, text) {
      drop(key);
      kept.set(key, text);
      characters += text.length;
      for (const [oldest] of kept) {
        if (characters <= most) break;
        drop(oldest);
      }
    },
    delete: async (key) => drop(key),
  };
}

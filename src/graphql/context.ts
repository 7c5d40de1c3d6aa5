import type { Catalog } from '../catalog/catalog.ts';
import { OWNER, type Viewer } from '../domain/viewer.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** What resolvers of one request share. */
export interface Context {
  /** What the viewer may see and do of it. */
  readonly catalog: Catalog;
  readonly viewer: Viewer;
  readonly loaders: Loaders;
  /** In subscriptions. */
  readonly stream?: StreamSide;
}

/** A subscription's connection, as its source of events sees it. */
export interface StreamSide {
  /** Aborted when the connection is closed. */
  readonly signal: AbortSignal;
  /** Resolves when so many events have left for the client, or nothing leaves any more. */
  sent(events: number): Promise<void>;
}

export function createContext(catalog: Catalog, viewer: Viewer = OWNER): Context {
  return { catalog, viewer, loaders: createLoaders(catalog.reader) };
}

/** For one subscription: each of its events reads the catalog afresh, so that a long stream holds no more than one event has read. */
export function createStreamContext(catalog: Catalog, { signal, sent }: StreamSide, viewer: Viewer = OWNER): Context {
  let loaders = createLoaders(catalog.reader);
  const stream: StreamSide = {
    signal,
    async sent(events) {
      await sent(events);
      loaders = createLoaders(catalog.reader);
    },
  };
  return {
    catalog,
    viewer,
    stream,
    get loaders() {
      return loaders;
    },
  };
}

/** A resolver: reads its arguments, calls the catalog or a loader, shapes the answer. No rules live here. */
export type Resolver<Parent = unknown, Args = unknown> = (parent: Parent, args: Args, context: Context) => unknown;

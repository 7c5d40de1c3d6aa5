import type { Catalog } from '../catalog/catalog.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** What resolvers of one request share. */
export interface Context {
  readonly catalog: Catalog;
  readonly loaders: Loaders;
}

export function createContext(catalog: Catalog): Context {
  return { catalog, loaders: createLoaders(catalog.reader) };
}

/** A resolver: reads its arguments, calls the catalog or a loader, shapes the answer. No rules live here. */
export type Resolver<Parent = unknown, Args = unknown> = (parent: Parent, args: Args, context: Context) => unknown;

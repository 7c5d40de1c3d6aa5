import type { EdgeRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';

interface EdgeView {
  readonly row: EdgeRow;
}

export const CircuitEdge = {
  effect: (({ row }) => row.effect) satisfies Resolver<EdgeView>,
  standardError: (({ row }) => row.standardError) satisfies Resolver<EdgeView>,
  n: (({ row }) => row.n) satisfies Resolver<EdgeView>,
  run: (({ row }, _, { loaders }) => loaders.run.load(row.run)) satisfies Resolver<EdgeView>,
};

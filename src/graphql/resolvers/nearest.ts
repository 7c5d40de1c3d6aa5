import type { FeatureView } from '../../catalog/features.ts';
import { choosesDictionaries, nearestPage, type NearestArgs } from '../../catalog/nearest.ts';
import type { DictionaryRow, NearestRow } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { connectionOf } from './connections.ts';

/** Feature.nearest. */
export const nearest = (async ({ row: feature }, args, { loaders }) => {
  const rows = await loaders.nearest.load(feature);
  const ids = choosesDictionaries(args) ? [...new Set(rows.map(({ dictionaryId }) => dictionaryId))] : [];
  const dictionaries = new Map<number, DictionaryRow>();
  for (const found of await Promise.all(ids.map((id) => loaders.dictionaryById.load(id)))) if (found !== null) dictionaries.set(found.id, found);
  const page = nearestPage(feature, rows, dictionaries, args);
  const nodes = await Promise.all(page.edges.map(({ node }) => loaders.feature.load(node)));
  // One that was replaced meanwhile is another feature than the one compared: left out.
  const edges = page.edges.flatMap(({ cursor, node: { cosine, run } }, i) => {
    const node = nodes[i] ?? null;
    return node === null ? [] : [{ cursor, cosine, run, node }];
  });
  return connectionOf({ edges, hasNext: page.hasNext, hasPrevious: page.hasPrevious });
}) satisfies Resolver<FeatureView, NearestArgs>;

export const NearestFeatureEdge = {
  run: (({ run }, _, { loaders }) => loaders.run.load(run)) satisfies Resolver<Pick<NearestRow, 'run'>>,
};

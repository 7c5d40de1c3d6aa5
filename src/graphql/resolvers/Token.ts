import { edgePage, edgeWindow } from '../../catalog/edges.ts';
import type { PageArgs } from '../../catalog/page.ts';
import { tokenFeatures, type TokenFeaturesArgs } from '../../catalog/tokenFeatures.ts';
import type { TokenKey } from '../../ports/CatalogReader.ts';
import type { Resolver } from '../context.ts';
import { connectionOf } from './connections.ts';
import { measured } from './measured.ts';

export const Token = {
  text: (async ({ model, id }, _, { loaders }) => (await loaders.tokens.load({ model, ids: [id] }))[0] ?? null) satisfies Resolver<TokenKey>,
  sources: (async (token, args, { loaders }) => {
    const window = edgeWindow('sources', args);
    const page = edgePage(window, await loaders.tokenSources(window.limit).load(token));
    const features = await Promise.all(page.edges.map(({ row }) => loaders.feature.load(row.source)));
    // An edge whose source was replaced meanwhile is an edge of the old dictionary: left out.
    const found = page.edges.flatMap(({ cursor, row }, i) => {
      const node = features[i] ?? null;
      return node === null ? [] : [{ cursor, node, row }];
    });
    return connectionOf({ edges: found, hasNext: page.hasNext, hasPrevious: page.hasPrevious });
  }) satisfies Resolver<TokenKey, PageArgs>,
  features: (async (token, args, { catalog, loaders }) => {
    const page = await tokenFeatures(catalog.reader, token, args);
    const features = await Promise.all(page.edges.map(({ row }) => loaders.feature.load(row)));
    // A row whose feature was replaced meanwhile is one of the old dictionary: left out.
    const edges = page.edges.flatMap(({ cursor, row }, i) => {
      const node = features[i] ?? null;
      return node === null ? [] : [{ ...row, cursor, node }];
    });
    return connectionOf({ edges, hasNext: page.hasNext, hasPrevious: page.hasPrevious });
  }) satisfies Resolver<TokenKey, TokenFeaturesArgs>,
};

export const OutputEdge = measured;
export const TokenSourceEdge = measured;

import { bestExplanation } from '../../catalog/bestExplanation.ts';
import { edgePage, edgeWindow, type EdgeDirection } from '../../catalog/edges.ts';
import { addressOf, type FeatureView } from '../../catalog/features.ts';
import { checkFirst, LIMITS } from '../../catalog/limits.ts';
import { pageOfList, type ListKey, type PageArgs } from '../../catalog/page.ts';
import type { ExemplarKind, TokenLogit } from '../../domain/feature.ts';
import type { Context, Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';
import { featureNotes } from './Annotations.ts';
import { connectionOf } from './connections.ts';
import type { ExplanationView } from './Explanation.ts';
import { nearest } from './nearest.ts';

const BY_EXPLAINER: ListKey<ExplanationView> = {
  scope: 'explanations',
  shape: ['string'],
  key: ({ row }) => [row.explainer],
};

async function withTexts(view: FeatureView, logits: readonly TokenLogit[], { loaders }: Context) {
  const texts = await loaders.tokens.load({ model: view.dictionary.model, ids: logits.map((logit) => logit.id) });
  return logits.map(({ id, value }, i) => ({ id, value, text: texts[i] }));
}

async function edges(view: FeatureView, direction: EdgeDirection, args: PageArgs, { loaders }: Context) {
  const window = edgeWindow(direction, args);
  const page = edgePage(window, await loaders.edges(window).load(view.row));
  const others = await Promise.all(
    page.edges.map(({ row }) => loaders.feature.load(direction === 'incoming' ? row.source : row.target)),
  );
  // An edge whose other end was replaced meanwhile is an edge of the old dictionary: left out.
  const found = page.edges.flatMap(({ cursor, row }, i) => {
    const node = others[i] ?? null;
    return node === null ? [] : [{ cursor, node, row }];
  });
  return connectionOf({ edges: found, hasNext: page.hasNext, hasPrevious: page.hasPrevious });
}

async function outputTokens(view: FeatureView, args: PageArgs, { loaders }: Context) {
  const window = edgeWindow('outputs', args);
  const page = edgePage(window, await loaders.outputEdges(window.limit).load(view.row));
  const edges = page.edges.map(({ cursor, row }) => ({ cursor, row, node: { model: view.dictionary.model, id: row.tokenId } }));
  return connectionOf({ edges, hasNext: page.hasNext, hasPrevious: page.hasPrevious });
}

interface First {
  readonly first: number;
}

export const Feature = {
  id: (({ dictionary, row }) => toGlobalId('Feature', addressOf(dictionary, row.index))) satisfies Resolver<FeatureView>,
  address: (({ dictionary, row }) => addressOf(dictionary, row.index)) satisfies Resolver<FeatureView>,
  index: (({ row }) => row.index) satisfies Resolver<FeatureView>,
  density: (({ row }) => row.density) satisfies Resolver<FeatureView>,
  maxActivation: (({ row }) => row.maxActivation) satisfies Resolver<FeatureView>,
  meanActivation: (({ row }) => row.meanActivation) satisfies Resolver<FeatureView>,
  histogram: (({ row }) => row.histogram) satisfies Resolver<FeatureView>,
  bestScore: (({ row }) => row.bestScore) satisfies Resolver<FeatureView>,
  topLogits: ((view, { first }, context) => withTexts(view, view.row.topLogits.slice(0, checkFirst(first)), context)) satisfies Resolver<
    FeatureView,
    First
  >,
  bottomLogits: ((view, { first }, context) =>
    withTexts(view, view.row.bottomLogits.slice(0, checkFirst(first)), context)) satisfies Resolver<FeatureView, First>,
  neighbours: (({ row }, { first }) =>
    row.neighbours.slice(0, checkFirst(first)).map(({ index, cosine }) => ({ dictionaryId: row.dictionaryId, index, cosine }))) satisfies Resolver<
    FeatureView,
    First
  >,
  nearest,
  bestExplanation: (async (view, _, { loaders }) => {
    const row = bestExplanation(await loaders.explanations.load(view.row));
    return row === null ? null : { row, view };
  }) satisfies Resolver<FeatureView>,
  explanations: (async (view, args, { loaders }) => {
    const rows = [...(await loaders.explanations.load(view.row))].sort((a, b) => (a.explainer < b.explainer ? -1 : 1));
    return connectionOf(
      pageOfList(
        rows.map((row): ExplanationView => ({ row, view })),
        BY_EXPLAINER,
        args,
      ),
    );
  }) satisfies Resolver<FeatureView, PageArgs>,
  notes: featureNotes,
  skips: (({ row }, _, { loaders }) => loaders.skips.load(row)) satisfies Resolver<FeatureView>,
  exemplars: (async (view, { kinds, first }, { loaders }) => {
    if (kinds.length === 0) return [];
    const exemplars = await loaders.exemplars(kinds, checkFirst(first)).load(view.row);
    return exemplars.map((exemplar) => ({ exemplar, model: view.dictionary.model }));
  }) satisfies Resolver<FeatureView, First & { kinds: readonly ExemplarKind[] }>,
  exemplarPages: (async (view, { kind, ...args }, { loaders }) => {
    const rows = await loaders.exemplars([kind], LIMITS.exemplars).load(view.row);
    const page = pageOfList(rows, { scope: `exemplars ${kind}`, shape: ['index'], key: ({ rank }) => [rank] }, args);
    return connectionOf({ ...page, edges: page.edges.map(({ cursor, node }) => ({ cursor, node: { exemplar: node, model: view.dictionary.model } })) });
  }) satisfies Resolver<FeatureView, PageArgs & { kind: ExemplarKind }>,
  outputTokens: ((view, args, context) => outputTokens(view, args, context)) satisfies Resolver<FeatureView, PageArgs>,
  tokens: (async (view, args, { loaders }) => {
    const rows = (await loaders.featureTokens.load(view.row)).map((row, rank) => ({ row, rank }));
    const page = pageOfList(rows, { scope: 'featureTokens', shape: ['index'], key: ({ rank }) => [rank] }, args);
    return connectionOf({ ...page, edges: page.edges.map(({ cursor, node: { row } }) => ({ ...row, cursor, node: { model: view.dictionary.model, id: row.tokenId } })) });
  }) satisfies Resolver<FeatureView, PageArgs>,
  incomingEdges: ((view, args, context) => edges(view, 'incoming', args, context)) satisfies Resolver<FeatureView, PageArgs>,
  outgoingEdges: ((view, args, context) => edges(view, 'outgoing', args, context)) satisfies Resolver<FeatureView, PageArgs>,
};

export const FeatureNeighbour = {
  feature: ((key, _, { loaders }) => loaders.feature.load(key)) satisfies Resolver<{ dictionaryId: number; index: number }>,
};

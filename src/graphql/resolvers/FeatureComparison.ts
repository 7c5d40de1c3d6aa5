import { compareTokens, edgesBetween, exemplarOverlap, jaccard } from '../../catalog/compareFeatures.ts';
import type { FeatureView } from '../../catalog/features.ts';
import { parseAddress } from '../../domain/address.ts';
import type { FeatureTokenRow, ScoreRow } from '../../ports/CatalogReader.ts';
import type { Context, Resolver } from '../context.ts';
import { measured } from './measured.ts';
import { featureAt } from './Node.ts';

interface Pair {
  readonly a: FeatureView;
  readonly b: FeatureView;
}

/** Null where either is unknown. Everything else is read when it is selected. */
export async function compareFeatures(_: unknown, args: { readonly a: string; readonly b: string }, context: Context): Promise<Pair | null> {
  const [a, b] = await Promise.all([featureAt(parseAddress(args.a), context), featureAt(parseAddress(args.b), context)]);
  return a === null || b === null ? null : { a, b };
}

const fired = ({ dictionary }: FeatureView, row: FeatureTokenRow) => ({ token: { model: dictionary.model, id: row.tokenId }, ...row });

const instrument = (explainer: string, { scorer, judge }: ScoreRow): string => JSON.stringify([scorer, judge, explainer]);

/** Token ids of two models are not the same tokens. */
const sameModel = ({ a, b }: Pair): boolean => a.dictionary.model === b.dictionary.model;

export const ComparedEdge = measured;

export const FeatureComparison = {
  decoderCosine: (({ a, b }, _, { catalog }) => catalog.decoderCosine(a, b)) satisfies Resolver<Pair>,
  exemplarOverlap: (({ a, b }, _, { catalog }) => exemplarOverlap(catalog.reader, a, b)) satisfies Resolver<Pair>,
  topLogitOverlap: ((pair) => (sameModel(pair) ? jaccard(pair.a.row.topLogits.map(({ id }) => id), pair.b.row.topLogits.map(({ id }) => id)) : null)) satisfies Resolver<Pair>,
  tokens: (async (pair, _, { loaders }) => {
    if (!sameModel(pair)) return null;
    const { a, b } = pair;
    const [ofA, ofB] = await Promise.all([loaders.featureTokens.load(a.row), loaders.featureTokens.load(b.row)]);
    const { shared, onlyA, onlyB } = compareTokens(ofA, ofB);
    return {
      shared: shared.map((both) => ({ token: { model: a.dictionary.model, id: both.a.tokenId }, shareA: both.a.share, shareB: both.b.share })),
      onlyA: onlyA.map((row) => fired(a, row)),
      onlyB: onlyB.map((row) => fired(b, row)),
    };
  }) satisfies Resolver<Pair>,
  edges: (async ({ a, b }, _, { catalog }) => (await edgesBetween(catalog.reader, a, b)).map((row) => (row.source.dictionaryId === a.row.dictionaryId && row.source.index === a.row.index ? { source: a, target: b, row } : { source: b, target: a, row }))) satisfies Resolver<Pair>,
  scores: (async ({ a, b }, _, { loaders }) => {
    const sides = await Promise.all([a, b].map(async ({ row }) => (await loaders.explanations.load(row)).flatMap(({ explainer, scores }) => scores.map((score) => ({ explainer, score })))));
    const [ofA, ofB] = sides.map((scores) => new Map(scores.map(({ explainer, score }) => [instrument(explainer, score), score.value])));
    return [...new Set([...ofA!.keys(), ...ofB!.keys()])].sort().map((key) => {
      const [scorer, judge, explainer] = JSON.parse(key) as [string, string, string];
      return { scorer, judge, explainer, a: ofA!.get(key) ?? null, b: ofB!.get(key) ?? null };
    });
  }) satisfies Resolver<Pair>,
};

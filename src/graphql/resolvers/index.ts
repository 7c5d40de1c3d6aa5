import type { DictionaryArchitecture } from '../../domain/dictionary.ts';
import type { PatchOperation } from '../../domain/patch.ts';
import type { SteerOperation } from '../../domain/steer.ts';
import type { SearchEngine, SearchMatched, SearchOrder } from '../../ports/FeatureSearch.ts';
import { FeatureList, FeatureListEntryEdge, Note } from './Annotations.ts';
import { CircuitLink } from './Circuit.ts';
import { CircuitEdge } from './CircuitEdge.ts';
import { Dictionary } from './Dictionary.ts';
import { Exemplar } from './Exemplar.ts';
import { Explanation, ExplanationSkip, ExplanationSummary, Score, ScoreSummary } from './Explanation.ts';
import { ComparedEdge, FeatureComparison } from './FeatureComparison.ts';
import { Feature, FeatureNeighbour } from './Feature.ts';
import { Model } from './Model.ts';
import { Mutation } from './Mutation.ts';
import { NearestFeatureEdge } from './nearest.ts';
import { PatchedFeature, PatchLoss, PatchPosition, PatchRun, WatchedFeature } from './PatchRun.ts';
import { FeatureSearchConnection, Query, SearchFacets, Server } from './Query.ts';
import { Run } from './Run.ts';
import { scalars } from './scalars.ts';
import { SteeredFeature, SteerRun, WrittenText } from './SteerRun.ts';
import { Subscription } from './Subscription.ts';
import { OutputEdge, Token, TokenSourceEdge } from './Token.ts';
import { FeatureActivation, TextActivations } from './TextActivations.ts';

type PatchOperationKind = PatchOperation['kind'];

/** Inner values of enums whose names in the contract differ from the domain's. */
const enums = {
  DictionaryArchitecture: {
    TIED: 'tied',
    UNTIED: 'untied',
    TOPK: 'topk',
    BATCHTOPK: 'batchtopk',
    JUMPRELU: 'jumprelu',
    GATED: 'gated',
    MATRYOSHKA: 'matryoshka',
    PCA: 'pca',
    ICA: 'ica',
    NMF: 'nmf',
    NEURON: 'neuron',
    RANDOM: 'random',
  } satisfies Record<Uppercase<DictionaryArchitecture>, DictionaryArchitecture>,
  ExemplarKind: { TOP: 'top', QUANTILE: 'quantile', RANDOM: 'random' },
  SearchMatch: { WORDS: 'words', PREFIX: 'prefix', SIMILAR: 'similar', SEMANTIC: 'semantic' } satisfies Record<Uppercase<SearchMatched>, SearchMatched>,
  SearchEngine: { POSTGRES: 'postgres', MEILISEARCH: 'meilisearch' } satisfies Record<Uppercase<SearchEngine>, SearchEngine>,
  SearchOrder: { RELEVANCE: 'relevance', BANDS: 'bands' } satisfies Record<Uppercase<SearchOrder>, SearchOrder>,
  PatchOperation: { REPLACE_FROM_TARGET: 'replace_from_target', ABLATE: 'ablate', SCALE: 'scale', SET: 'set', ADD: 'add', ABLATE_TO_MEAN: 'ablate_to_mean' } satisfies Record<Uppercase<PatchOperationKind>, PatchOperationKind>,
  SteerOperation: { ADD: 'add', SET: 'set', SCALE: 'scale', ABLATE: 'ablate' } satisfies Record<Uppercase<SteerOperation['kind']>, SteerOperation['kind']>,
  TextEnd: { STOP: 'stop', LENGTH: 'length' },
  PatchError: { KEEP: 'keep', REMOVE: 'remove' },
};

export const resolvers = {
  ...scalars,
  ...enums,
  Query,
  FeatureSearchConnection,
  SearchFacets,
  Mutation,
  Subscription,
  Server,
  Model,
  Dictionary,
  Feature,
  FeatureNeighbour,
  NearestFeatureEdge,
  FeatureComparison,
  ComparedEdge,
  Exemplar,
  Explanation,
  Note,
  FeatureList,
  FeatureListEntryEdge,
  ExplanationSkip,
  ExplanationSummary,
  Score,
  ScoreSummary,
  CircuitEdge,
  CircuitLink,
  OutputEdge,
  Token,
  TokenSourceEdge,
  Run,
  SteerRun,
  SteeredFeature,
  WrittenText,
  TextActivations,
  FeatureActivation,
  PatchRun,
  PatchedFeature,
  PatchPosition,
  PatchLoss,
  WatchedFeature,
};

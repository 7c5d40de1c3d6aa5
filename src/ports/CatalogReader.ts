import type { DictionaryArchitecture, DictionaryQuality } from '../domain/dictionary.ts';
import type { Exemplar, ExemplarKind, FragmentRef, Histogram, Neighbour, Score, TokenLogit } from '../domain/feature.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { ModelInfo } from '../domain/model.ts';
import type { PatchRun } from '../domain/patch.ts';
import type { Run } from '../domain/run.ts';

export interface ModelRow extends ModelInfo {
  /** Folder or hub id the weights come from, for opening the model; relative folders are relative to CATALOG_HOME. */
  readonly source: string;
}

export interface DictionaryRow {
  /** Small integer that leads every key of the big tables. */
  readonly id: number;
  readonly model: string;
  readonly name: string;
  readonly hookPoint: HookPoint;
  /** Transcoders: where features are written and edited; null = at hookPoint. */
  readonly outputHookPoint: HookPoint | null;
  /** Of hookPoint. */
  readonly layer: number;
  readonly architecture: DictionaryArchitecture;
  readonly dIn: number;
  readonly nFeatures: number;
  /** Most features active on one vector; null = as many as are above their threshold. */
  readonly k: number | null;
  readonly l1: number | null;
  readonly weightsHash: string;
  /** Folder of the weights, relative to CATALOG_HOME where it lies inside. */
  readonly location: string;
  readonly quality: DictionaryQuality | null;
  readonly trainRun: string;
  readonly analyseRun: string | null;
  /** Tokens the analysis read. */
  readonly tokensAnalysed: number | null;
  readonly createdAt: string;
}

export interface FeatureKey {
  readonly dictionaryId: number;
  readonly index: number;
}

export interface FeatureRow extends FeatureKey {
  readonly density: number;
  readonly maxActivation: number;
  readonly meanActivation: number | null;
  readonly histogram: Histogram;
  readonly topLogits: readonly TokenLogit[];
  readonly bottomLogits: readonly TokenLogit[];
  readonly neighbours: readonly Neighbour[];
  /**
   * Highest simulation-top-random score among the feature's explanations, of any explainer and judge; null when none is defined.
   * Other instruments do not count: detection accuracy and correlation do not compare.
   */
  readonly bestScore: number | null;
}

export interface ExplanationRow extends FeatureKey {
  /** Unique within the feature. */
  readonly explainer: string;
  /** Language model that wrote it, and the version of its prompt; null where none did. */
  readonly model: string | null;
  readonly promptVersion: string | null;
  readonly description: string;
  /** By scorer, then judge. */
  readonly scores: readonly ScoreRow[];
  readonly run: string;
}

/** A score without the text it was measured on, which is many times its size: CatalogReader.explanationTexts. */
export type ScoreRow = Omit<Score, 'fragments'>;

/** The text behind an explanation, by place. */
export interface ExplanationTextsRow extends FeatureKey {
  readonly explainer: string;
  /** What the explainer read, strongest first. */
  readonly madeFrom: readonly FragmentRef[];
  /** What each score was measured on, in the text's order. */
  readonly judgedOn: readonly { readonly scorer: string; readonly judge: string; readonly fragments: readonly FragmentRef[] }[];
}

/** Why an explainer left a feature out. */
export interface SkipRow extends FeatureKey {
  readonly explainer: string;
  readonly reason: string;
  readonly run: string;
}

export interface ReasonCount {
  readonly reason: string;
  readonly count: number;
}

/** Mean over n features; half-width of its 95 % interval, null below two. */
export interface ScoreMean {
  readonly n: number;
  readonly mean: number | null;
  readonly halfWidth: number | null;
}

/** Scores of one instrument by one judge over a dictionary: `mean` over features with a defined score. */
export interface ScoreSummaryRow extends ScoreMean {
  readonly scorer: string;
  readonly judge: string;
  /** Over all features asked for, those skipped or without a defined score counted as 0. */
  readonly zero: ScoreMean;
  /** Explained features whose score is undefined, most frequent reason first. */
  readonly undefined: readonly ReasonCount[];
}

/** What an explainer's run over a dictionary came to. Read its means only beside explained / features: hard features are the ones skipped. */
export interface ExplanationSummaryRow {
  readonly dictionaryId: number;
  readonly explainer: string;
  readonly run: string;
  /** Features asked for; those not explained were skipped. */
  readonly features: number;
  readonly explained: number;
  readonly skips: readonly ReasonCount[];
  /** By scorer, then judge. */
  readonly scores: readonly ScoreSummaryRow[];
}

export interface EdgeRow {
  readonly source: FeatureKey;
  readonly target: FeatureKey;
  readonly effect: number;
  readonly standardError: number;
  readonly n: number;
  readonly run: string;
}

/** A token of a model's vocabulary. */
export interface TokenKey {
  readonly model: string;
  readonly id: number;
}

/** Measured effect of a feature on the prediction of a token, in nats; see OutputEdge. */
export interface OutputEdgeRow {
  readonly source: FeatureKey;
  readonly tokenId: number;
  readonly effect: number;
  readonly standardError: number;
  readonly n: number;
  readonly run: string;
}

/** A feature fires on a token: read from the feature's exemplars, its few strongest tokens alone. */
export interface FeatureTokenRow extends FeatureKey {
  readonly tokenId: number;
  /** Strongest on this token, in the dictionary's units. */
  readonly activation: number;
  /** activation / the feature's maximum, at most 1. */
  readonly share: number;
  /** Places of the exemplars where the feature fires on the token. */
  readonly count: number;
}

/** A feature near another one, in another dictionary of the same model. */
export interface NearestRow extends FeatureKey {
  /** Of the decoder directions, -1 to 1. */
  readonly cosine: number;
  /** The run that compared the dictionaries. */
  readonly run: string;
}

/** Features that fire on a token; tokens are those of the dictionaries' one model. */
export interface TokenFeaturesRequest {
  readonly tokenId: number;
  /** Not empty. */
  readonly dictionaryIds: readonly number[];
  readonly minShare: number;
  readonly first: number;
  readonly after: (FeatureKey & { readonly share: number }) | null;
}

/** What to collect of the graph that ends in a feature or a token. */
export interface CircuitRequest {
  readonly target: FeatureKey | TokenKey;
  /** Steps from the target at most. */
  readonly depth: number;
  /** Edges of smaller |effect| are left out. */
  readonly minEffect: number;
  /** Strongest edges into each feature, and into the token. */
  readonly perNode: number;
  /** Edges at most: nearest the target first, of those at one distance the strongest. */
  readonly limit: number;
}

/** Each feature once, at its least distance from the target; its incoming edges there, so nothing is followed twice. */
export interface CircuitRows {
  /** Of the edge's target, from 0. By depth, then strongest first. */
  readonly edges: readonly ({ readonly depth: number } & ({ readonly kind: 'feature'; readonly row: EdgeRow } | { readonly kind: 'token'; readonly row: OutputEdgeRow }))[];
  /** Whether there are edges that `limit` left out. */
  readonly truncated: boolean;
}

/** SCORER_*: by the scores that FeatureFilter.score names, which must be given; a feature counts with its highest. */
export type FeatureOrder = 'INDEX' | 'DENSITY_ASC' | 'DENSITY_DESC' | 'MAX_ACTIVATION_ASC' | 'MAX_ACTIVATION_DESC' | 'SCORE_ASC' | 'SCORE_DESC' | 'SCORER_ASC' | 'SCORER_DESC';

/** Defined scores of one instrument: of any explanation and judge unless they are named; both ends of the range included. */
export interface ScoreFilter {
  readonly scorer: string;
  readonly judge?: string;
  readonly explainer?: string;
  readonly min?: number;
  readonly max?: number;
}

export interface FeatureFilter {
  /** Dictionaries to look in; the order's tie-break is (dictionaryId, index). Not empty. */
  readonly dictionaryIds: readonly number[];
  readonly minDensity?: number;
  readonly maxDensity?: number;
  /** Of FeatureRow.maxActivation. */
  readonly minActivation?: number;
  readonly maxActivation?: number;
  /** Of FeatureRow.bestScore; features without one are left out. */
  readonly minScore?: number;
  readonly maxScore?: number;
  /** Only features with (or without) an explanation, of any explainer. */
  readonly explained?: boolean;
  /** Only features with an explanation by this explainer. */
  readonly explainer?: string;
  /** Only features that have this token of their model among those they fire on (FeatureTokenRow). */
  readonly tokenId?: number;
  /** Only features with a score so. */
  readonly score?: ScoreFilter;
  /** Only features with (or without) measured edges of each kind. */
  readonly hasIncoming?: boolean;
  readonly hasOutgoing?: boolean;
  readonly hasOutputs?: boolean;
}

/** Position after which a page continues: the order's value and the key of the last row. */
export interface FeatureCursor {
  readonly value: number | null;
  readonly dictionaryId: number;
  readonly index: number;
}

export interface FeaturePage {
  readonly rows: readonly FeatureRow[];
  /** The order's value of each row, where the row does not tell it: SCORER orders. */
  readonly values?: readonly number[];
  readonly hasNext: boolean;
}

/** Position after which a page of runs continues. */
export interface RunCursor {
  /** ISO 8601, in whole milliseconds. */
  readonly startedAt: string;
  readonly key: string;
}

export interface RunPage {
  readonly rows: readonly Run[];
  readonly hasNext: boolean;
}

/** Batched reads of the catalog: each takes all keys of a request at once and answers in the same order (null in gaps). */
export interface CatalogReader {
  models(): Promise<readonly ModelRow[]>;
  /** `names`: only dictionaries called so, of any model; a reader may return others too. */
  dictionaries(filter: { model?: string; names?: readonly string[] }): Promise<readonly DictionaryRow[]>;
  dictionariesById(ids: readonly number[]): Promise<readonly (DictionaryRow | null)[]>;
  features(keys: readonly FeatureKey[]): Promise<readonly (FeatureRow | null)[]>;
  featurePage(filter: FeatureFilter, order: FeatureOrder, first: number, after: FeatureCursor | null): Promise<FeaturePage>;
  explanations(keys: readonly FeatureKey[]): Promise<readonly (readonly ExplanationRow[])[]>;
  /** The texts behind a feature's explanations, by explainer. */
  explanationTexts(keys: readonly FeatureKey[]): Promise<readonly (readonly ExplanationTextsRow[])[]>;
  /** Explainers that left a feature out, by name. */
  skips(keys: readonly FeatureKey[]): Promise<readonly (readonly SkipRow[])[]>;
  /** Of each dictionary, by explainer. */
  explanationSummaries(dictionaryIds: readonly number[]): Promise<readonly (readonly ExplanationSummaryRow[])[]>;
  /** Exemplars by rank; at most `limit` of each kind asked for. */
  exemplars(keys: readonly FeatureKey[], kinds: readonly ExemplarKind[], limit: number): Promise<readonly (readonly Exemplar[])[]>;
  /** Strongest |effect| first. `incoming`: edges whose target is the key. */
  edges(keys: readonly FeatureKey[], direction: 'incoming' | 'outgoing', limit: number): Promise<readonly (readonly EdgeRow[])[]>;
  /** Tokens whose prediction each feature changes; strongest |effect| first. */
  outputEdges(keys: readonly FeatureKey[], limit: number): Promise<readonly (readonly OutputEdgeRow[])[]>;
  /** Features that change the prediction of each token; strongest |effect| first. */
  tokenSources(keys: readonly TokenKey[], limit: number): Promise<readonly (readonly OutputEdgeRow[])[]>;
  /** Tokens each feature fires on, strongest first. */
  featureTokens(keys: readonly FeatureKey[]): Promise<readonly (readonly FeatureTokenRow[])[]>;
  /** Features near each one in other dictionaries, the few kept of each: greatest cosine first, then by dictionary and index. None of dictionaries replaced since. */
  nearest(keys: readonly FeatureKey[]): Promise<readonly (readonly NearestRow[])[]>;
  /** Largest share first, then by dictionary and index. */
  tokenFeatures(request: TokenFeaturesRequest): Promise<{ readonly rows: readonly FeatureTokenRow[]; readonly hasNext: boolean }>;
  /** The graph upstream of a feature or a token, in one statement. */
  circuit(request: CircuitRequest): Promise<CircuitRows>;
  /** Ids of a model's tokens whose display text is exactly this, ascending, at most `limit`. */
  tokensNamed(model: string, text: string, limit: number): Promise<readonly number[]>;
  /** Display text of token ids of a model's vocabulary; null for unknown ids. */
  tokens(model: string, ids: readonly number[]): Promise<readonly (string | null)[]>;
  runs(keys: readonly string[]): Promise<readonly (Run | null)[]>;
  /** Newest start first, then by key; of one stage, or of all. */
  runPage(stage: string | null, first: number, after: RunCursor | null): Promise<RunPage>;
  patchRun(id: string): Promise<PatchRun | null>;
  /** False where a run with this id is stored already: that one stays. */
  savePatchRun(run: PatchRun): Promise<boolean>;
  /** True when the database answers. */
  healthy(): Promise<boolean>;
}

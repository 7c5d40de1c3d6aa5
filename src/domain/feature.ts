/** How an exemplar was chosen: the strongest fragments; fragments from a band of max-activation quantiles; at random. */
export type ExemplarKind = 'top' | 'quantile' | 'random';

/** `row` of a window that lies nowhere in a text that is known here: the largest there is. */
export const NO_ROW = 0x7fff_ffff;

/** A text window where a feature was read, with its activation on every token. */
export interface Exemplar {
  readonly kind: ExemplarKind;
  /** 0-based; for `quantile` the band (0 = weakest) times 1000 plus the place in it. */
  readonly rank: number;
  /** Row of the token file and position of the window's first token in it. */
  readonly row: number;
  readonly start: number;
  readonly ids: readonly number[];
  /** Same length as ids; in the dictionary's units, 0 = inactive. */
  readonly activations: readonly number[];
  readonly maxActivation: number;
}

/** A window of the analysed text, by place: tokens [start, start + length) of a row of the token file. */
export interface FragmentRef {
  readonly row: number;
  readonly start: number;
  readonly length: number;
}

/** A histogram of non-zero activations: `counts[i]` values in [edges[i], edges[i+1]). */
export interface Histogram {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

export interface TokenLogit {
  readonly id: number;
  /** Change of the token's logit per unit of activation, through the unembedding alone (layer norm scale not applied). */
  readonly value: number;
}

export interface Neighbour {
  readonly index: number;
  /** Cosine of decoder directions, −1 to 1. */
  readonly cosine: number;
}

/** What `analyse` finds for one feature; one line of features.ndjson. */
export interface FeatureAnalysis {
  readonly index: number;
  /** Share of sampled tokens with activation > 0. */
  readonly density: number;
  readonly maxActivation: number;
  /** Mean over active tokens; null when never active. */
  readonly meanActivation: number | null;
  readonly histogram: Histogram;
  readonly topLogits: readonly TokenLogit[];
  readonly bottomLogits: readonly TokenLogit[];
  readonly neighbours: readonly Neighbour[];
  readonly exemplars: readonly Exemplar[];
}

/** A description of a feature by an explainer. */
export interface Explanation {
  readonly index: number;
  /** Unique within the feature: `pattern-v1`, or prompt version and model, e.g. `token-act-pair-v1@gpt-4o-mini`. */
  readonly explainer: string;
  /** The language model that wrote it; null where none did. */
  readonly model: string | null;
  /** Version of the prompt it was asked with, e.g. `token-act-pair-v1`; null where there is none. */
  readonly promptVersion: string | null;
  readonly description: string;
  /** Machine-readable form the scorer simulates from; explainer-specific JSON. */
  readonly detail: unknown;
  /** What the explainer read, strongest first. */
  readonly fragments: readonly FragmentRef[];
  readonly scores: readonly Score[];
}

/** How well an explanation predicts activations. `value` null = undefined, with the reason. Unique by (scorer, judge) within the explanation. */
export interface Score {
  /** Instrument and what it was applied to, e.g. `simulation-top-random`, `detection-balanced-accuracy`. Never pooled with another's. */
  readonly scorer: string;
  /** Who predicted the activations: `pattern-v1` (the pattern itself), or the language or embedding model's name. */
  readonly judge: string;
  /** Version of the prompt the judge was given; null where there is none. */
  readonly promptVersion: string | null;
  readonly value: number | null;
  readonly undefinedReason: string | null;
  /** Tokens (simulation) or windows (detection) the value rests on. */
  readonly n: number;
  /** 95 % bootstrap interval; null when undefined. */
  readonly low: number | null;
  readonly high: number | null;
  /** The held-out text it was measured on, never part of what the explainer read. */
  readonly fragments: readonly FragmentRef[];
}

/** One line of explanations.ndjson: either an explanation or the reason there is none. */
export type ExplainOutcome =
  | { readonly kind: 'explained'; readonly explanation: Explanation }
  | { readonly kind: 'skipped'; readonly index: number; readonly reason: string };

/** Measured effect of ablating `source` on `target`: mean relative drop at the target's activating position. */
export interface CircuitEdge {
  readonly sourceDictionary: string;
  readonly sourceIndex: number;
  readonly targetDictionary: string;
  readonly targetIndex: number;
  /** mean over contexts of (a − a_ablated)/a; 1 = the target falls silent. */
  readonly effect: number;
  readonly standardError: number;
  /** Contexts measured. */
  readonly n: number;
}

/** Effect of a feature on the prediction of an output token, measured by ablating the feature over contexts that token follows. */
export interface OutputEdge {
  readonly sourceDictionary: string;
  readonly sourceIndex: number;
  /** Id in the vocabulary. */
  readonly tokenId: number;
  /** The token as text. */
  readonly token: string;
  /** Mean over contexts of log p(token) − log p_ablated(token), in nats; positive = the feature makes the token likelier. */
  readonly effect: number;
  readonly standardError: number;
  /** Contexts measured. */
  readonly n: number;
}

/** Of "activation above / at least a threshold" against the pattern; counts of tokens. Null where not defined. */
export interface ReportedPurity {
  readonly rule: 'above' | 'at least';
  readonly threshold: number;
  readonly matches: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
}

/** Mean ± halfWidth (95 %). */
export interface ReportedEffectMean {
  readonly n: number;
  readonly mean: number | null;
  readonly halfWidth: number | null;
}

/** A feature found by the pattern. */
export interface ReportedDetection {
  readonly address: string;
  readonly purity: ReportedPurity;
  /** At the best threshold among the search's bins (eight an octave); null when the feature is silent. */
  readonly best: ReportedPurity | null;
  readonly meanOnPattern: number;
  readonly maxActivation: number;
}

/** Values in equal bins from 0 to the largest, split by token; `id` null: all other tokens. */
export interface ReportedHistogram {
  readonly edges: readonly number[];
  readonly parts: readonly { readonly id: number | null; readonly zero: number; readonly counts: readonly number[]; readonly share: number }[];
}

export interface ReportedTokenEffect {
  readonly id: number;
  readonly all: ReportedEffectMean;
  /** Positions where the direction is active itself. */
  readonly active: ReportedEffectMean;
  readonly positive: number;
  readonly positiveSum: number;
  readonly negative: number;
  readonly negativeSum: number;
}

/** What ablating a direction does to the log-probability of the true next token, in nats: clean minus ablated. */
export interface ReportedEffects {
  readonly rows: number;
  readonly tokens: number;
  readonly positions: ReportedEffectMean;
  readonly activePositions: ReportedEffectMean;
  readonly positive: number;
  readonly negative: number;
  readonly loses: readonly ReportedTokenEffect[];
  readonly gains: readonly ReportedTokenEffect[];
  /** Sizes of effects beyond the threshold, by next token. Zero: all others. */
  readonly positiveHistogram: ReportedHistogram;
  readonly negativeHistogram: ReportedHistogram;
  /** Largest activation left by the ablation; null for a transcoder, which is read before it is edited. */
  readonly left: number | null;
}

export interface ReportedDirection {
  readonly label: string;
  /** Tokens on which it is active. */
  readonly active: number;
  /** At the threshold asked for; null without a pattern. */
  readonly purity: ReportedPurity | null;
  /** At the best threshold of all that occur. */
  readonly best: ReportedPurity | null;
  readonly histogram: ReportedHistogram;
  readonly effects: ReportedEffects;
}

export interface ReportedContext {
  readonly kind: 'strongest' | 'middle' | 'false positive' | 'false negative';
  readonly row: number;
  readonly position: number;
  readonly tokens: readonly { readonly text: string; readonly activation: number; readonly here: boolean }[];
}

/** One feature studied, beside the dimension of the hook point that its encoder reads most. */
export interface ReportedTokenFeature {
  readonly address: string;
  readonly hookPoint: string;
  /** Its place among the features ranked by the pattern, from 1; null when not ranked. */
  readonly place: number | null;
  readonly feature: ReportedDirection;
  readonly basis: ReportedDirection & { readonly dimension: number; readonly sign: 1 | -1; readonly rank: number; readonly share: number };
  readonly contexts: readonly ReportedContext[];
}

export interface TokenFeatureData {
  readonly title: string;
  readonly model: string;
  readonly tokensRead: number;
  readonly effectThreshold: number;
  readonly pattern: {
    readonly label: string;
    readonly tokens: number;
    readonly byToken: readonly { readonly id: number; readonly count: number }[];
    readonly rankedBy: string;
    /** The best by that ranking. */
    readonly ranking: readonly ReportedDetection[];
    /** The best by mean activation on the pattern. */
    readonly byMean: readonly ReportedDetection[];
    readonly featuresSearched: number;
  } | null;
  readonly features: readonly ReportedTokenFeature[];
  /** How the tokens named above look, by id; of tokens that look alike each with its id behind. */
  readonly texts: Readonly<Record<string, string>>;
  /** Facts about how it was made: label and value. */
  readonly facts: readonly (readonly [string, string])[];
}

/** Draws the study of token features: one self-contained HTML file. */
export interface TokenFeatureReport {
  write(path: string, data: TokenFeatureData, scale: 'linear' | 'log'): Promise<void>;
}

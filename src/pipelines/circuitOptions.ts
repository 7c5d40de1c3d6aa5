export interface CircuitOptions {
  /** Contexts measured per feature or token; default 20. */
  readonly contexts: number;
  /**
   * A feature's contexts: `top` = its strongest exemplars (the paper's published figure), `sampled` = places drawn from the text
   * where it reaches at least half its greatest activation (the alternative that the paper describes). Default `top`.
   */
  readonly contextsFrom: 'top' | 'sampled';
  /** Of what is drawn: sampled contexts, and those of output tokens. */
  readonly seed: number;
  /** Edges of smaller |effect| are dropped; default 0.01. For features a share, for output tokens nats. */
  readonly threshold: number;
  /** Edges kept per feature, strongest first; default 32. */
  readonly keep: number;
  /**
   * How many of a feature's strongest sources are followed further, by depth: the first number for the targets, the last
   * one for all greater depths; default [3, 1], as in the paper's figure.
   */
  readonly follow: readonly number[];
  /** Steps from a target at most; null (default) = to the first dictionary. */
  readonly depth: number | null;
  /** Sources of a feature: `previous` = dictionaries that write at the nearest earlier hook point (the paper); `all` = at every earlier one. Tokens: always all. */
  readonly sources: 'previous' | 'all';
  /**
   * Longest context in tokens; default 64 (the paper took 30). A longer one keeps the row's first token, which attention
   * rests on, and its last ones. A feature's context counts when the feature still reaches half its activation in it.
   */
  readonly contextTokens: number;
  /** Active source features ablated per target and source dictionary, likeliest first; default 48, null = all (the paper). */
  readonly candidates: number | null;
  /** Who says which are likely: the gradient of the target (default; src/interventions/attribute.ts), or src/causal/proposeSources.ts. */
  readonly propose: 'heuristic' | 'gradient';
  /** Tokens of one forward run; default 4096. */
  readonly batchTokens: number;
}

export const CIRCUIT_DEFAULTS: CircuitOptions = {
  contexts: 20, contextsFrom: 'top', seed: 0, threshold: 0.01, keep: 32, follow: [3, 1], depth: null, sources: 'previous', contextTokens: 64, candidates: 48,
  propose: 'gradient', batchTokens: 4096,
};

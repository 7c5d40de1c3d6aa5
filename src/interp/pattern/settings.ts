/** Settings of the pattern explainer; part of a run's identity. */
export interface PatternSettings {
  /** Share of an activation that must survive pruning, masking and substitution (Neuron-to-Graph: 0.5). */
  readonly keep: number;
  /** Importance 1 − masked/original from which a token is matched by name instead of by wildcard (Neuron-to-Graph: 0.5). */
  readonly importance: number;
  /** Positions studied per feature: the strongest token of each explanation fragment, then the next strongest. */
  readonly targets: number;
  /** Share of the feature's maximum from which a further token of an explanation fragment is studied. */
  readonly targetShare: number;
  /** Lengths tried when pruning, in tokens including the activating one; each group is one round, taken only while none fits. */
  readonly suffixLengths: readonly (readonly number[])[];
  /** Replacements averaged when a token is masked. */
  readonly maskDraws: number;
  /** Contexts of more tokens get one replacement per context token. */
  readonly shortContext: number;
  /** Substitutes the subject model proposes per token matched by name. */
  readonly substitutes: number;
  /** Most tokens taken from the single-token table. */
  readonly aloneTokens: number;
  /** Share of the feature's maximum from which a token of the single-token table is taken. */
  readonly aloneShare: number;
  /** Weight of what single tokens did in the explanation fragments, see observedPaths; 0 leaves it out. */
  readonly observedWeight: number;
  /** Most patterns one target gives. */
  readonly pathsPerTarget: number;
}

export const PATTERN_SETTINGS: PatternSettings = {
  keep: 0.5,
  importance: 0.5,
  targets: 5,
  targetShare: 0.5,
  suffixLengths: [[1, 2, 3, 4], [6, 9], [14]],
  maskDraws: 2,
  shortContext: 4,
  substitutes: 4,
  aloneTokens: 96,
  aloneShare: 0.05,
  observedWeight: 1,
  pathsPerTarget: 48,
};

/** A short text whose last token's activation of one feature is wanted. */
export interface Probe {
  /** Row of token ids; the document-start token comes first. */
  readonly ids: readonly number[];
  readonly feature: number;
}

/** Activations (dictionary units, ≥ 0) at the last token of each probe, in order. Many probes at once are cheaper than few. */
export type ReadProbes = (probes: readonly Probe[]) => Promise<Float32Array>;

/** The subject model's `n` likeliest next tokens after each prefix, likeliest first. */
export type ProposeNext = (prefixes: readonly (readonly number[])[], n: number) => Promise<readonly (readonly number[])[]>;

/** What the explainer may ask of the subject model and its tokenizer. */
export interface Subject {
  readonly read: ReadProbes;
  readonly propose: ProposeNext;
  /** Token every document starts with (end-of-text or BOS); probes begin with it. */
  readonly documentStart: number;
  /** Text of one token, for descriptions. */
  token(id: number): string;
  decode(ids: readonly number[]): string;
  /** Tokens that differ from `id` only in case or in a leading space. */
  variants(id: number): readonly number[];
  /** Tokens drawn from the text itself (so frequent ones appear often): replacements when a token is masked. Not empty. */
  readonly background: ArrayLike<number>;
  /** Tokens on which the feature fires when they stand alone in a document, strongest first. */
  alone(feature: number): readonly { readonly token: number; readonly value: number }[];
}

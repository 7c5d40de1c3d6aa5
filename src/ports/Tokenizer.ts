/** Text to token ids and back, exactly as the model's tokenizer.json says. */
export interface Tokenizer {
  /** sha-256 of the tokenizer file(s). */
  readonly hash: string;
  /** Highest id + 1 the tokenizer can emit. */
  readonly size: number;
  /** Id that separates documents; null when the tokenizer has none. */
  readonly eosId: number | null;
  readonly bosId: number | null;
  /** No special tokens are added unless `specialTokens` (what HF calls add_special_tokens). */
  encode(text: string, options?: { specialTokens?: boolean }): Int32Array;
  decode(ids: ArrayLike<number>): string;
  /** What one token looks like on its own, for display; bytes that are no whole character become U+FFFD. */
  token(id: number): string;
}

/** How large a request to a language model will be, for estimates before it is sent. */
export interface RequestSize {
  /** UTF-8 bytes of all messages: an upper bound of its tokens for every byte-level tokenizer, about four times their number in English. */
  readonly promptBytes: number;
  /** Most tokens of the reply. */
  readonly maxTokens: number;
  /** About how many the reply will have. */
  readonly expectedTokens: number;
}

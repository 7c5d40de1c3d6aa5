/** A reply of a language model that could not be used, kept for people to look at. */
export interface BadReply {
  /** Index of the feature it was about. */
  readonly feature: number;
  /** e.g. `token-act-pair-v1`. */
  readonly promptVersion: string;
  readonly model: string;
  readonly attempt: number;
  /** Without numbers or names, so that failures can be counted by reason. */
  readonly reason: string;
  /** As it came, its first 2,000 characters. */
  readonly reply: string;
}

export interface BadReplyLog {
  record(bad: BadReply): Promise<void>;
}

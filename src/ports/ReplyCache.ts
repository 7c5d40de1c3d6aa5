/** Answers already paid for, by request. Survives kill -9; several processes may use one at a time. */
export interface ReplyCache {
  /** Null when this request was never answered. `key` is a hex sha-256. */
  get(key: string): Promise<unknown>;
  /** Returns once the answer is on disk. */
  put(key: string, answer: unknown): Promise<void>;
  close(): Promise<void>;
}

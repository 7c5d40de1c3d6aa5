/** A token file: documents joined with EOS and cut into rows of exactly `cols` tokens. */
export interface TokenRows {
  readonly rows: number;
  readonly cols: number;
  /** sha-256 of the ids and shape. */
  readonly hash: string;
  readonly tokenizerHash: string;
  /** Ids of the given rows, row-major [indices.length, cols]. */
  read(indices: ArrayLike<number>): Promise<Int32Array>;
  close(): Promise<void>;
}

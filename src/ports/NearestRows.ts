/** Rows nearest to each row of a matrix, nearest first. */
export interface Nearest {
  /** Entries of each row. */
  readonly k: number;
  /** [n, k] row-major: a row of the other matrix; -1 where there are no more. */
  readonly indices: Int32Array;
  /** [n, k]: cosine of the two, -1 to 1; 0 where there is no entry. */
  readonly cosines: Float32Array;
}

/** Nearest rows by cosine between two matrices, off the main thread. */
export interface NearestRows {
  /**
   * The `k` rows of b [m, width] nearest to each row of a [n, width], and the other way round; ties go to the smaller index. Rows of zeros
   * are near nothing. Neither matrix is changed or kept. `onDone` is told how many of the n·m cosines are done.
   *
   * Work: 2·n·m·width operations in float32, once for both ways, and (n + m)·(k + 8)·width in float64, in which the values are and are ordered.
   */
  nearest(a: Float32Array, b: Float32Array, width: number, k: number, onDone?: (cosines: number) => void): Promise<{ readonly ofA: Nearest; readonly ofB: Nearest }>;
  close(): Promise<void>;
}

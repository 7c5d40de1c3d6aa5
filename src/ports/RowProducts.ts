/** Inner products of the rows of two matrices, off the main thread. */
export interface RowProducts {
  /** a·bᵀ [n, m] row-major, of a [n, width] and b [m, width]; neither is changed or kept. */
  products(a: Float32Array, b: Float32Array, width: number): Promise<Float32Array>;
  close(): Promise<void>;
}

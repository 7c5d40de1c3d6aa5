/**
 * Sparse activations, compressed by row: row r's active features are `features[offsets[r]..offsets[r+1])`, ascending, with
 * `values` alongside. Rows are tokens.
 */
export interface SparseCodes {
  readonly rows: number;
  readonly nFeatures: number;
  readonly offsets: Uint32Array;
  readonly features: Uint32Array;
  readonly values: Float32Array;
}

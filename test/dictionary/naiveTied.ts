/**
 * The tied autoencoder of src/dictionary/tied.ts in plain loops and double precision, forward and backward: the oracle for
 * the graph. B, D, F as there.
 */
export interface NaiveTied {
  readonly loss: number;
  readonly mse: number;
  readonly l0: number;
  /** dL/dM [F, D] and dL/db [F]. */
  readonly dRows: Float64Array;
  readonly dBias: Float64Array;
}

export function naiveTied(shape: { B: number; D: number; F: number; l1: number }, rows: ArrayLike<number>, bias: ArrayLike<number>, x: ArrayLike<number>): NaiveTied {
  const { B, D, F, l1 } = shape;
  const norm = new Float64Array(F);
  const w = new Float64Array(F * D);
  for (let j = 0; j < F; j++) {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += rows[j * D + d]! ** 2;
    norm[j] = Math.sqrt(sum);
    for (let d = 0; d < D; d++) w[j * D + d] = rows[j * D + d]! / Math.max(norm[j]!, 1e-8);
  }
  let mse = 0;
  let l1Sum = 0;
  let active = 0;
  const dW = new Float64Array(F * D);
  const dBias = new Float64Array(F);
  for (let i = 0; i < B; i++) {
    const c = new Float64Array(F);
    const e = new Float64Array(D);
    for (let j = 0; j < F; j++) {
      let h = bias[j]!;
      for (let d = 0; d < D; d++) h += x[i * D + d]! * w[j * D + d]!;
      c[j] = Math.max(h, 0);
      l1Sum += c[j]!;
      if (c[j]! > 0) active++;
    }
    for (let d = 0; d < D; d++) {
      e[d] = -x[i * D + d]!;
      for (let j = 0; j < F; j++) e[d]! += c[j]! * w[j * D + d]!;
      mse += e[d]! ** 2 / (B * D);
    }
    for (let j = 0; j < F; j++) {
      let dc = l1 / B;
      for (let d = 0; d < D; d++) {
        dc += (2 / (B * D)) * e[d]! * w[j * D + d]!;
        dW[j * D + d]! += (2 / (B * D)) * c[j]! * e[d]!;
      }
      if (c[j]! <= 0) continue;
      dBias[j]! += dc;
      for (let d = 0; d < D; d++) dW[j * D + d]! += dc * x[i * D + d]!;
    }
  }
  const dRows = new Float64Array(F * D);
  for (let j = 0; j < F; j++) {
    let along = 0;
    for (let d = 0; d < D; d++) along += dW[j * D + d]! * w[j * D + d]!;
    if (norm[j]! <= 1e-8) along = 0;
    for (let d = 0; d < D; d++) dRows[j * D + d] = (dW[j * D + d]! - along * w[j * D + d]!) / Math.max(norm[j]!, 1e-8);
  }
  return { loss: mse + (l1 * l1Sum) / B, mse, l0: active / B, dRows, dBias };
}

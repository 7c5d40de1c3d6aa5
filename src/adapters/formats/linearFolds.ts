/** Rewritings of foreign weights that leave codes and reconstructions as they are. Sums are in double precision. */

/** [rows, cols] to [cols, rows], row-major. */
export function transposed(data: Float32Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(data.length);
  const TILE = 32; // both sides of a tile stay in cache
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    for (let c0 = 0; c0 < cols; c0 += TILE) {
      const rEnd = Math.min(rows, r0 + TILE);
      const cEnd = Math.min(cols, c0 + TILE);
      for (let r = r0; r < rEnd; r++) for (let c = c0; c < cEnd; c++) out[c * rows + r] = data[r * cols + c]!;
    }
  }
  return out;
}

/** Every number times `factor`; the same array where that is 1. */
export function scaled(data: Float32Array, factor: number): Float32Array {
  return factor === 1 ? data : data.map((value) => value * factor);
}

/** Row j times factors[j]; `data` is [factors.length, width]. */
export function scaledRows(data: Float32Array, factors: ArrayLike<number>): Float32Array {
  const width = data.length / factors.length;
  return data.map((value, at) => value * factors[Math.floor(at / width)]!);
}

/** b' with encoder·x + b' = encoder·(x − centre) + b: b' = b − encoder·centre. `encoder` is [F, D]. */
export function biasWithCentre(bias: Float32Array, encoder: Float32Array, centre: Float32Array): Float32Array {
  const D = centre.length;
  return bias.map((b, j) => {
    let dot = 0;
    for (let d = 0; d < D; d++) dot += encoder[j * D + d]! * centre[d]!;
    return b - dot;
  });
}

/** Rows that read x as `rows` read x − mean(x): each row less its mean. `rows` is [n, D]. */
export function rowsOnCentred(rows: Float32Array, D: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let at = 0; at < rows.length; at += D) {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += rows[at + d]!;
    for (let d = 0; d < D; d++) out[at + d] = rows[at + d]! - sum / D;
  }
  return out;
}

/** L2 norm of each row of [n, width]. */
export function rowNorms(rows: Float32Array, width: number): Float64Array {
  const norms = new Float64Array(rows.length / width);
  for (let j = 0; j < norms.length; j++) {
    let squares = 0;
    for (let d = 0; d < width; d++) squares += rows[j * width + d]! ** 2;
    norms[j] = Math.sqrt(squares);
  }
  return norms;
}

/**
 * A gated encoder as one with thresholds. With z = E(x − centre), it gives relu(e^r·z + b_mag) where z + b_gate > 0, else 0;
 * that is h = e^r·z + b_mag where h > θ = max(0, b_mag − e^r·b_gate).
 */
export function foldedGate({ encoder, rMag, gateBias, magBias }: { encoder: Float32Array; rMag: Float32Array; gateBias: Float32Array; magBias: Float32Array }): { encoder: Float32Array; encoderBias: Float32Array; threshold: Float32Array } {
  const gain = Float64Array.from(rMag, Math.exp);
  return { encoder: scaledRows(encoder, gain), encoderBias: magBias, threshold: magBias.map((b, j) => Math.max(0, b - gain[j]! * gateBias[j]!)) };
}

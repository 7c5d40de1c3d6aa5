/**
 * The point with the least sum of distances to vectors [n, D], by Weiszfeld's iteration from their mean (Weiszfeld 1937; the
 * start of the output bias in Gao et al. 2024, section 2.1). Stops when a step moves less than `tolerance` of the first
 * distance sum per vector, or after `iterations`. Robust: a few outlier vectors hardly move it.
 */
export function geometricMedian(vectors: Float32Array, D: number, { iterations = 100, tolerance = 1e-6 } = {}): Float32Array {
  const n = vectors.length / D;
  let median = new Float64Array(D);
  for (let i = 0; i < vectors.length; i++) median[i % D]! += vectors[i]! / n;
  let scale = 0;
  for (let step = 0; step < iterations; step++) {
    const next = new Float64Array(D);
    let weights = 0;
    let distances = 0;
    for (let start = 0; start < vectors.length; start += D) {
      let squares = 0;
      for (let d = 0; d < D; d++) squares += (vectors[start + d]! - median[d]!) ** 2;
      const distance = Math.sqrt(squares);
      distances += distance;
      const weight = 1 / Math.max(distance, 1e-12);
      weights += weight;
      for (let d = 0; d < D; d++) next[d]! += weight * vectors[start + d]!;
    }
    if (step === 0) scale = distances / n;
    let moved = 0;
    for (let d = 0; d < D; d++) {
      next[d]! /= weights;
      moved += (next[d]! - median[d]!) ** 2;
    }
    median = next;
    if (Math.sqrt(moved) <= tolerance * scale) break;
  }
  return Float32Array.from(median);
}

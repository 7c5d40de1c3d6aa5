import { axpy, dot, gather } from './vector';

/** How many entries each feature in [from, to) has, to `totals`. Entries by row as in rows.ts, features ascending in a row. */
export function countFeatures(B: i32, starts: usize, counts: usize, indices: usize, from: u32, to: u32, totals: usize): void {
  memory.fill(totals + (<usize>from << 2), 0, <usize>(to - from) << 2);
  for (let r = 0; r < B; r++) {
    let at = indices + (<usize>load<u32>(starts + (<usize>r << 2)) << 2);
    const end = at + (<usize>load<i32>(counts + (<usize>r << 2)) << 2);
    for (; at < end; at += 4) {
      const j = load<u32>(at);
      if (j < from) continue;
      if (j >= to) break;
      const total = totals + (<usize>j << 2);
      store<u32>(total, load<u32>(total) + 1);
    }
  }
}

/**
 * The entries of the features in [from, to), sorted by feature and then row: each one's row, value·alpha and slope, at the
 * feature's cursor, which ends behind its last.
 */
export function fillFeatures(B: i32, starts: usize, counts: usize, indices: usize, values: usize, slopes: usize, from: u32, to: u32, alpha: f32, cursors: usize, rowsOut: usize, valuesOut: usize, slopesOut: usize): void {
  for (let r = 0; r < B; r++) {
    let o = <usize>load<u32>(starts + (<usize>r << 2)) << 2;
    const end = o + (<usize>load<i32>(counts + (<usize>r << 2)) << 2);
    for (; o < end; o += 4) {
      const j = load<u32>(indices + o);
      if (j < from) continue;
      if (j >= to) break;
      const cursor = cursors + (<usize>j << 2);
      const at = load<u32>(cursor);
      store<u32>(cursor, at + 1);
      store<u32>(rowsOut + (<usize>at << 2), r);
      store<f32>(valuesOut + (<usize>at << 2), load<f32>(values + o) * alpha);
      store<f32>(slopesOut + (<usize>at << 2), load<f32>(slopes + o));
    }
  }
}

/**
 * Row j − from of `out` [to − from, n] = Σ coefficient·matrix[row] over the entries of feature j: offsets[j] to
 * offsets[j + 1]. With `add` on top of what is there.
 */
export function gatherFeatures(from: u32, to: u32, n: i32, offsets: usize, rows: usize, coefficients: usize, matrix: usize, out: usize, add: bool): void {
  for (let j = from; j < to; j++) {
    const row = out + <usize>(j - from) * (<usize>n << 2);
    if (!add) memory.fill(row, 0, <usize>n << 2);
    const at = load<u32>(offsets + (<usize>j << 2));
    gather(row, matrix, n, rows + (<usize>at << 2), coefficients + (<usize>at << 2), load<u32>(offsets + (<usize>j << 2), 4) - at);
  }
}

/** sums[j] = Σ coefficients of feature j's entries, with `add` on top. */
export function sumFeatures(from: u32, to: u32, offsets: usize, coefficients: usize, sums: usize, add: bool): void {
  for (let j = from; j < to; j++) {
    let sum: f32 = add ? load<f32>(sums + (<usize>j << 2)) : 0;
    const end = load<u32>(offsets + (<usize>j << 2), 4);
    for (let at = load<u32>(offsets + (<usize>j << 2)); at < end; at++) sum += load<f32>(coefficients + (<usize>at << 2));
    store<f32>(sums + (<usize>j << 2), sum);
  }
}

/** Takes from each row of gradient [rows, n] its part along the row of W. */
export function removeParallel(rows: i32, n: i32, W: usize, gradient: usize): void {
  for (let r = 0; r < rows; r++) {
    const o = <usize>r * (<usize>n << 2);
    const along = dot(gradient + o, W + o, n);
    if (along !== 0) axpy(gradient + o, W + o, -along, n);
  }
}

/** Σ a² over rows of n floats, in double precision between rows. */
export function sumSquares(rows: i32, n: i32, a: usize): f64 {
  let sum: f64 = 0;
  for (let r = 0; r < rows; r++) {
    const row = a + <usize>r * (<usize>n << 2);
    sum += <f64>dot(row, row, n);
  }
  return sum;
}

/** out [n] = Σ weights[r]·a[r] over rows of a [rows, n]. */
export function weightedSum(rows: i32, n: i32, weights: usize, a: usize, out: usize): void {
  memory.fill(out, 0, <usize>n << 2);
  for (let r = 0; r < rows; r++) {
    const weight = load<f32>(weights + (<usize>r << 2));
    if (weight !== 0) axpy(out, a + <usize>r * (<usize>n << 2), weight, n);
  }
}

/** Rows of a brought to length 1 (norms below `least` count as it): the rows to `out` unless it is 0, 1/norm to `inverses`. */
export function normaliseRows(rows: i32, n: i32, a: usize, least: f32, out: usize, inverses: usize): void {
  for (let r = 0; r < rows; r++) {
    const row = a + <usize>r * (<usize>n << 2);
    const norm = max<f32>(sqrt<f32>(dot(row, row, n)), least);
    store<f32>(inverses + (<usize>r << 2), 1 / norm);
    if (out === 0) continue;
    divide(row, norm, n, out + <usize>r * (<usize>n << 2));
  }
}

function divide(a: usize, by: f32, n: i32, out: usize): void {
  const divisor = f32x4.splat(by);
  let i = 0;
  for (; i + 4 <= n; i += 4) v128.store(out + (<usize>i << 2), f32x4.div(v128.load(a + (<usize>i << 2)), divisor));
  for (; i < n; i++) store<f32>(out + (<usize>i << 2), load<f32>(a + (<usize>i << 2)) / by);
}

function scale(a: usize, by: f32, n: i32): void {
  const factor = f32x4.splat(by);
  let i = 0;
  for (; i + 4 <= n; i += 4) v128.store(a + (<usize>i << 2), f32x4.mul(v128.load(a + (<usize>i << 2)), factor));
  for (; i < n; i++) store<f32>(a + (<usize>i << 2), load<f32>(a + (<usize>i << 2)) * by);
}

/** The gradient through w = m/max(‖m‖, least), in place: (g − w (w·g))·inverse, without the second term where the norm is at its floor. */
export function throughNorm(rows: i32, n: i32, m: usize, inverses: usize, least: f32, gradient: usize): void {
  for (let r = 0; r < rows; r++) {
    const o = <usize>r * (<usize>n << 2);
    const inverse = load<f32>(inverses + (<usize>r << 2));
    if (inverse < 1 / least) {
      const along = dot(gradient + o, m + o, n) * inverse * inverse;
      if (along !== 0) axpy(gradient + o, m + o, -along, n);
    }
    scale(gradient + o, inverse, n);
  }
}

/** Moments below this become 0: they would decay into denormal numbers, on which a core is many times slower. */
const LEAST: f32 = 1e-30;

@inline
function kept(x: v128): v128 {
  return v128.and(x, f32x4.ge(f32x4.abs(x), f32x4.splat(LEAST)));
}

/** One Adam step of n floats with gradient·factor; rest = 1 − beta; see src/dictionary/adam.ts. Memory is read and written once. */
export function adam(n: i32, p: usize, gradient: usize, m: usize, v: usize, factor: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, epsilon: f32, stepSize: f32, secondCorrection: f32): void {
  // m/(√v/s + ε)·step = m·(step·s)/(√v + ε·s)
  const step = stepSize * secondCorrection;
  const least = epsilon * secondCorrection;
  const vFactor = f32x4.splat(factor);
  const vBeta1 = f32x4.splat(beta1);
  const vBeta2 = f32x4.splat(beta2);
  const vRest1 = f32x4.splat(rest1);
  const vRest2 = f32x4.splat(rest2);
  const vStep = f32x4.splat(step);
  const vLeast = f32x4.splat(least);
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    const o = <usize>i << 2;
    const g = f32x4.mul(v128.load(gradient + o), vFactor);
    const nextM = kept(f32x4.add(f32x4.mul(v128.load(m + o), vBeta1), f32x4.mul(g, vRest1)));
    const nextV = kept(f32x4.add(f32x4.mul(v128.load(v + o), vBeta2), f32x4.mul(f32x4.mul(g, vRest2), g)));
    v128.store(m + o, nextM);
    v128.store(v + o, nextV);
    v128.store(p + o, f32x4.sub(v128.load(p + o), f32x4.div(f32x4.mul(nextM, vStep), f32x4.add(f32x4.sqrt(nextV), vLeast))));
  }
  for (; i < n; i++) {
    const o = <usize>i << 2;
    const g = load<f32>(gradient + o) * factor;
    let nextM = load<f32>(m + o) * beta1 + g * rest1;
    let nextV = load<f32>(v + o) * beta2 + g * rest2 * g;
    if (abs(nextM) < LEAST) nextM = 0;
    if (nextV < LEAST) nextV = 0;
    store<f32>(m + o, nextM);
    store<f32>(v + o, nextV);
    store<f32>(p + o, load<f32>(p + o) - (nextM * step) / (sqrt<f32>(nextV) + least));
  }
}

/** `adam` row by row, each then divided by max(its norm, least). */
export function adamUnitRows(rows: i32, n: i32, p: usize, gradient: usize, m: usize, v: usize, factor: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, epsilon: f32, stepSize: f32, secondCorrection: f32, least: f32): void {
  for (let r = 0; r < rows; r++) {
    const o = <usize>r * (<usize>n << 2);
    adam(n, p + o, gradient + o, m + o, v + o, factor, beta1, rest1, beta2, rest2, epsilon, stepSize, secondCorrection);
    divide(p + o, max<f32>(sqrt<f32>(dot(p + o, p + o, n)), least), n, p + o);
  }
}

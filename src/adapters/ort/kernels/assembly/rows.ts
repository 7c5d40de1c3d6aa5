import { axpy, dot, gather, lanes, madd } from './vector';

/**
 * Per row r of `rows`: e = bias − target + Σ coefficient·W[index] over the row's entries (bias 0: none; target 0: e starts
 * from what it holds), and its sum of squares. W [F, n]; e, target [rows, n]; entries of row r at starts[r], counts[r] of them.
 */
export function decodeRows(rows: i32, n: i32, starts: usize, counts: usize, indices: usize, coefficients: usize, W: usize, bias: usize, target: usize, e: usize, squares: usize): void {
  const zero = f32x4.splat(0);
  for (let r = 0; r < rows; r++) {
    const offset = <usize>r * (<usize>n << 2);
    const out = e + offset;
    if (target !== 0) {
      let i = 0;
      for (; i + 4 <= n; i += 4) {
        const o = <usize>i << 2;
        v128.store(out + o, f32x4.sub(bias !== 0 ? v128.load(bias + o) : zero, v128.load(target + offset + o)));
      }
      for (; i < n; i++) {
        const o = <usize>i << 2;
        store<f32>(out + o, (bias !== 0 ? load<f32>(bias + o) : 0) - load<f32>(target + offset + o));
      }
    }
    const at = <usize>load<u32>(starts + (<usize>r << 2)) << 2;
    gather(out, W, n, indices + at, coefficients + at, load<i32>(counts + (<usize>r << 2)));
    store<f64>(squares + (<usize>r << 3), <f64>dot(out, out, n));
  }
}

/** Of every row's entries those whose index is in [from, to), as places of their own: `partStarts` and `partCounts`. */
export function partOfRows(rows: i32, starts: usize, counts: usize, indices: usize, from: u32, to: u32, partStarts: usize, partCounts: usize): void {
  for (let r = 0; r < rows; r++) {
    let at = load<u32>(starts + (<usize>r << 2));
    const end = at + load<u32>(counts + (<usize>r << 2));
    while (at < end && load<u32>(indices + (<usize>at << 2)) < from) at++;
    store<u32>(partStarts + (<usize>r << 2), at);
    let n = 0;
    while (at + n < end && load<u32>(indices + (<usize>(at + n) << 2)) < to) n++;
    store<u32>(partCounts + (<usize>r << 2), n);
  }
}

/** Per entry of every row: slope = alpha·(e[row]·W[index])·scales[index] + addend (scales 0: all 1). */
export function dotRows(rows: i32, n: i32, starts: usize, counts: usize, indices: usize, W: usize, scales: usize, e: usize, alpha: f32, addend: f32, slopes: usize): void {
  const stride = <usize>n << 2;
  for (let r = 0; r < rows; r++) {
    const row = e + <usize>r * stride;
    const at = <usize>load<u32>(starts + (<usize>r << 2)) << 2;
    const count = load<i32>(counts + (<usize>r << 2));
    let i = 0;
    for (; i + 2 <= count; i += 2) {
      const place = at + (<usize>i << 2);
      const a = load<u32>(indices + place);
      const b = load<u32>(indices + place, 4);
      const wa = W + <usize>a * stride;
      const wb = W + <usize>b * stride;
      let sa = f32x4.splat(0);
      let sb = sa;
      let ta = sa;
      let tb = sa;
      let k = 0;
      for (; k + 8 <= n; k += 8) {
        const o = <usize>k << 2;
        const left = v128.load(row + o);
        const right = v128.load(row + o, 16);
        sa = madd(left, v128.load(wa + o), sa);
        sb = madd(left, v128.load(wb + o), sb);
        ta = madd(right, v128.load(wa + o, 16), ta);
        tb = madd(right, v128.load(wb + o, 16), tb);
      }
      let x = lanes(f32x4.add(sa, ta));
      let y = lanes(f32x4.add(sb, tb));
      for (; k < n; k++) {
        const o = <usize>k << 2;
        x += load<f32>(row + o) * load<f32>(wa + o);
        y += load<f32>(row + o) * load<f32>(wb + o);
      }
      x *= alpha;
      y *= alpha;
      if (scales !== 0) {
        x *= load<f32>(scales + (<usize>a << 2));
        y *= load<f32>(scales + (<usize>b << 2));
      }
      store<f32>(slopes + place, x + addend);
      store<f32>(slopes + place, y + addend, 4);
    }
    if (i < count) {
      const place = at + (<usize>i << 2);
      const a = load<u32>(indices + place);
      let x = dot(row, W + <usize>a * stride, n) * alpha;
      if (scales !== 0) x *= load<f32>(scales + (<usize>a << 2));
      store<f32>(slopes + place, x + addend);
    }
  }
}

/** out[entry] = values[entry]·scales[index] for every entry. */
export function scaleEntries(rows: i32, starts: usize, counts: usize, indices: usize, values: usize, scales: usize, out: usize): void {
  for (let r = 0; r < rows; r++) {
    const at = <usize>load<u32>(starts + (<usize>r << 2)) << 2;
    const end = at + (<usize>load<i32>(counts + (<usize>r << 2)) << 2);
    for (let o = at; o < end; o += 4) store<f32>(out + o, load<f32>(values + o) * load<f32>(scales + (<usize>load<u32>(indices + o) << 2)));
  }
}

/** out [n] = Σ over the rows of a [rows, n]. */
export function columnSums(a: usize, rows: i32, n: i32, out: usize): void {
  memory.fill(out, 0, <usize>n << 2);
  for (let r = 0; r < rows; r++) axpy(out, a + <usize>r * (<usize>n << 2), 1, n);
}

/** Per row: Σ (a − b)², a [rows, n], b [n]. */
export function distances(a: usize, b: usize, rows: i32, n: i32, squares: usize): void {
  for (let r = 0; r < rows; r++) {
    const row = a + <usize>r * (<usize>n << 2);
    let sum: f64 = 0;
    for (let i = 0; i < n; i++) {
      const difference = load<f32>(row + (<usize>i << 2)) - load<f32>(b + (<usize>i << 2));
      sum += <f64>(difference * difference);
    }
    store<f64>(squares + (<usize>r << 3), sum);
  }
}

/**
 * Backward through relu for a piece [rows, n] of dense codes: slopes where the code is 0 become 0. Adds to, per column,
 * the number of positive codes (`fired`), and to Σ slopes and Σ codes.
 */
export function maskSlopes(codes: usize, slopes: usize, rows: i32, n: i32, fired: usize, slopeSums: usize, codeSums: usize): void {
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  for (let r = 0; r < rows; r++) {
    const c = codes + <usize>r * (<usize>n << 2);
    const s = slopes + <usize>r * (<usize>n << 2);
    let i = 0;
    for (; i + 4 <= n; i += 4) {
      const o = <usize>i << 2;
      const code = v128.load(c + o);
      const on = f32x4.gt(code, zero);
      const slope = v128.and(v128.load(s + o), on);
      v128.store(s + o, slope);
      v128.store(fired + o, f32x4.add(v128.load(fired + o), v128.and(one, on)));
      v128.store(slopeSums + o, f32x4.add(v128.load(slopeSums + o), slope));
      v128.store(codeSums + o, f32x4.add(v128.load(codeSums + o), code));
    }
    for (; i < n; i++) {
      const o = <usize>i << 2;
      const code = load<f32>(c + o);
      const slope: f32 = code > 0 ? load<f32>(s + o) : 0;
      store<f32>(s + o, slope);
      if (code > 0) store<f32>(fired + o, load<f32>(fired + o) + 1);
      store<f32>(slopeSums + o, load<f32>(slopeSums + o) + slope);
      store<f32>(codeSums + o, load<f32>(codeSums + o) + code);
    }
  }
}

/** Loops over rows of floats, four lanes at a time, with scalar tails. All addresses are bytes into the shared memory. */

/** a·b + c; one rounding where the processor has a fused instruction, and then in every engine tier. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

@inline
export function lanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** Σ a·b over n floats. */
export function dot(a: usize, b: usize, n: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let i = 0;
  for (; i + 16 <= n; i += 16) {
    const at = <usize>i << 2;
    s0 = madd(v128.load(a + at), v128.load(b + at), s0);
    s1 = madd(v128.load(a + at, 16), v128.load(b + at, 16), s1);
    s2 = madd(v128.load(a + at, 32), v128.load(b + at, 32), s2);
    s3 = madd(v128.load(a + at, 48), v128.load(b + at, 48), s3);
  }
  for (; i + 4 <= n; i += 4) s0 = madd(v128.load(a + (<usize>i << 2)), v128.load(b + (<usize>i << 2)), s0);
  let sum = lanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  for (; i < n; i++) sum += load<f32>(a + (<usize>i << 2)) * load<f32>(b + (<usize>i << 2));
  return sum;
}

/** out += c·a over n floats. */
export function axpy(out: usize, a: usize, c: f32, n: i32): void {
  const cv = f32x4.splat(c);
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    const at = <usize>i << 2;
    v128.store(out + at, madd(v128.load(a + at), cv, v128.load(out + at)));
    v128.store(out + at, madd(v128.load(a + at, 16), cv, v128.load(out + at, 16)), 16);
  }
  for (; i < n; i++) {
    const at = <usize>i << 2;
    store<f32>(out + at, load<f32>(out + at) + c * load<f32>(a + at));
  }
}

/**
 * out [n] += Σ_i coefficients[i] · matrix[indices[i]] over `count` rows of n floats, four rows at a time: out is then read
 * and written once for four.
 */
export function gather(out: usize, matrix: usize, n: i32, indices: usize, coefficients: usize, count: i32): void {
  const stride = <usize>n << 2;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = <usize>i << 2;
    const a = matrix + <usize>load<u32>(indices + at) * stride;
    const b = matrix + <usize>load<u32>(indices + at, 4) * stride;
    const c = matrix + <usize>load<u32>(indices + at, 8) * stride;
    const d = matrix + <usize>load<u32>(indices + at, 12) * stride;
    const ca = v128.load32_splat(coefficients + at);
    const cb = v128.load32_splat(coefficients + at, 4);
    const cc = v128.load32_splat(coefficients + at, 8);
    const cd = v128.load32_splat(coefficients + at, 12);
    let k = 0;
    for (; k + 8 <= n; k += 8) {
      const o = <usize>k << 2;
      let s = v128.load(out + o);
      let t = v128.load(out + o, 16);
      s = madd(v128.load(a + o), ca, s);
      t = madd(v128.load(a + o, 16), ca, t);
      s = madd(v128.load(b + o), cb, s);
      t = madd(v128.load(b + o, 16), cb, t);
      s = madd(v128.load(c + o), cc, s);
      t = madd(v128.load(c + o, 16), cc, t);
      s = madd(v128.load(d + o), cd, s);
      t = madd(v128.load(d + o, 16), cd, t);
      v128.store(out + o, s);
      v128.store(out + o, t, 16);
    }
    for (; k < n; k++) {
      const o = <usize>k << 2;
      let s = load<f32>(out + o);
      s += load<f32>(a + o) * load<f32>(coefficients + at);
      s += load<f32>(b + o) * load<f32>(coefficients + at, 4);
      s += load<f32>(c + o) * load<f32>(coefficients + at, 8);
      s += load<f32>(d + o) * load<f32>(coefficients + at, 12);
      store<f32>(out + o, s);
    }
  }
  for (; i < count; i++) {
    const at = <usize>i << 2;
    axpy(out, matrix + <usize>load<u32>(indices + at) * stride, load<f32>(coefficients + at), n);
  }
}

/** out [rows, n] = a [rows, n] − b [n]. */
export function subtractRow(out: usize, a: usize, b: usize, rows: i32, n: i32): void {
  for (let r = 0; r < rows; r++) {
    const at = <usize>r * (<usize>n << 2);
    let i = 0;
    for (; i + 4 <= n; i += 4) {
      const o = <usize>i << 2;
      v128.store(out + at + o, f32x4.sub(v128.load(a + at + o), v128.load(b + o)));
    }
    for (; i < n; i++) {
      const o = <usize>i << 2;
      store<f32>(out + at + o, load<f32>(a + at + o) - load<f32>(b + o));
    }
  }
}

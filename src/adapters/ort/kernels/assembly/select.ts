/**
 * Selection of the largest pre-activations while they stream by in pieces of the feature axis. A candidate is one number,
 * (bits of the value << 32) | ~index: positive floats order as their bits do, so the larger number is the larger value and,
 * of equal values, the lower index.
 */

/** Of the first, middle and last element of [low, high]: lists already in order are then no worst case. */
@inline
function medianOfThree(list: usize, low: i32, high: i32): u64 {
  let a = load<u64>(list + (<usize>low << 3));
  let b = load<u64>(list + (<usize>((low + high) >> 1) << 3));
  const c = load<u64>(list + (<usize>high << 3));
  if (a < b) {
    const swap = a;
    a = b;
    b = swap;
  }
  return c > a ? a : c < b ? b : c;
}

/** Elements [0, n) of 64 bits at `list`: brings the k largest to the front, the k-th largest to position k − 1. 0 < k < n. */
function partition(list: usize, n: i32, k: i32): void {
  let low = 0;
  let high = n - 1;
  const at = k - 1;
  while (low < high) {
    const pivot = medianOfThree(list, low, high);
    let i = low;
    let j = high;
    while (i <= j) {
      while (load<u64>(list + (<usize>i << 3)) > pivot) i++;
      while (load<u64>(list + (<usize>j << 3)) < pivot) j--;
      if (i <= j) {
        const left = load<u64>(list + (<usize>i << 3));
        store<u64>(list + (<usize>i << 3), load<u64>(list + (<usize>j << 3)));
        store<u64>(list + (<usize>j << 3), left);
        i++;
        j--;
      }
    }
    if (at <= j) high = j;
    else if (at >= i) low = i;
    else return;
  }
}

/** Sorts n numbers of 64 bits at `list` in ascending order. */
export function sortAscending(list: usize, n: i32): void {
  let low = 0;
  let high = n - 1;
  while (high - low > 24) {
    const pivot = medianOfThree(list, low, high);
    let i = low;
    let j = high;
    while (i <= j) {
      while (load<u64>(list + (<usize>i << 3)) < pivot) i++;
      while (load<u64>(list + (<usize>j << 3)) > pivot) j--;
      if (i <= j) {
        const left = load<u64>(list + (<usize>i << 3));
        store<u64>(list + (<usize>i << 3), load<u64>(list + (<usize>j << 3)));
        store<u64>(list + (<usize>j << 3), left);
        i++;
        j--;
      }
    }
    // The smaller side by recursion, the larger by going on: depth stays logarithmic.
    if (j - low < high - i) {
      sortAscending(list + (<usize>low << 3), j - low + 1);
      low = i;
    } else {
      sortAscending(list + (<usize>i << 3), high - i + 1);
      high = j;
    }
  }
  for (let i = low + 1; i <= high; i++) {
    const value = load<u64>(list + (<usize>i << 3));
    let j = i - 1;
    while (j >= low && load<u64>(list + (<usize>j << 3)) > value) {
      store<u64>(list + (<usize>(j + 1) << 3), load<u64>(list + (<usize>j << 3)));
      j--;
    }
    store<u64>(list + (<usize>(j + 1) << 3), value);
  }
}

@inline
function keyOf(value: f32, index: u32): u64 {
  return (<u64>reinterpret<u32>(value) << 32) | <u64>~index;
}

/** Which of 16 floats at `at` are above t, as bits. */
@inline
function above16(at: usize, t: v128): u32 {
  const a = f32x4.gt(v128.load(at), t);
  const b = f32x4.gt(v128.load(at, 16), t);
  const c = f32x4.gt(v128.load(at, 32), t);
  const d = f32x4.gt(v128.load(at, 48), t);
  if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) return 0;
  return i32x4.bitmask(a) | (i32x4.bitmask(b) << 4) | (i32x4.bitmask(c) << 8) | (i32x4.bitmask(d) << 12);
}

/** One list of candidates being filled: a row's, or a whole batch's. */
let list: usize = 0;
let length: i32 = 0;
let floor: f32 = 0;

/**
 * Takes floats [0, n) at `row`, whose indices begin at `base`, into the list; at `capacity` it is cut to the best k. From
 * then on only larger values are taken, and with `ties` equal ones as well.
 */
function take(row: usize, n: i32, base: u32, k: i32, capacity: i32, ties: u32): void {
  let t = f32x4.splat(floor);
  for (let i = 0; i < n; i += 16) {
    const at = row + (<usize>i << 2);
    let mask: u32 = 0;
    if (i + 16 <= n) mask = above16(at, t);
    else for (let rest = 0; rest < n - i; rest++) if (load<f32>(at + (<usize>rest << 2)) > floor) mask |= 1 << rest;
    if (mask === 0) continue;
    do {
      const bit = ctz(mask);
      mask &= mask - 1;
      const value = load<f32>(at + (<usize>bit << 2));
      if (value <= floor) continue;
      store<u64>(list + (<usize>length << 3), keyOf(value, base + i + bit));
      if (++length === capacity) {
        partition(list, length, k);
        length = k;
        floor = reinterpret<f32>(<u32>(load<u64>(list + (<usize>(k - 1) << 3)) >> 32) - ties);
      }
    } while (mask !== 0);
    t = f32x4.splat(floor);
  }
}

/**
 * Per row of h [rows, n], whose columns are features `base`…: keeps the largest positive ones in the row's list of
 * `capacity` > k candidates. `lengths` and `floors` [rows] start at 0 and are carried from piece to piece.
 */
export function scanRows(h: usize, rows: i32, n: i32, base: u32, k: i32, capacity: i32, lists: usize, lengths: usize, floors: usize): void {
  for (let r = 0; r < rows; r++) {
    const at = <usize>r << 2;
    list = lists + ((<usize>r * capacity) << 3);
    length = load<i32>(lengths + at);
    floor = load<f32>(floors + at);
    take(h + <usize>r * (<usize>n << 2), n, base, k, capacity, 0); // an equal value that comes later has a higher index
    store<i32>(lengths + at, length);
    store<f32>(floors + at, floor);
  }
}

/**
 * The same for all rows together: one list, whose indices are row·F + feature. An equal value that comes later may have the
 * lower index, so it is taken.
 */
export function scanBatch(h: usize, rows: i32, n: i32, firstRow: u32, base: u32, F: u32, k: i32, capacity: i32, lists: usize, lengths: usize, floors: usize): void {
  list = lists;
  length = load<i32>(lengths);
  floor = load<f32>(floors);
  for (let r = 0; r < rows; r++) take(h + <usize>r * (<usize>n << 2), n, (firstRow + r) * F + base, k, capacity, 1);
  store<i32>(lengths, length);
  store<f32>(floors, floor);
}

/** (index << 32) | bits, which sorts by index. */
@inline
function byIndex(key: u64): u64 {
  return (<u64>~(<u32>key) << 32) | (key >> 32);
}

/**
 * Ends scanRows: writes each row's at most k best in ascending order of feature to `indices` and `values` at
 * starts[row], their number to `counts`. With `names`, features are names[index].
 */
export function finishRows(rows: i32, k: i32, capacity: i32, lists: usize, lengths: usize, starts: usize, counts: usize, indices: usize, values: usize, names: usize): void {
  for (let r = 0; r < rows; r++) {
    const own = lists + ((<usize>r * capacity) << 3);
    let n = load<i32>(lengths + (<usize>r << 2));
    if (n > k) {
      partition(own, n, k);
      n = k;
    }
    for (let i = 0; i < n; i++) store<u64>(own + (<usize>i << 3), byIndex(load<u64>(own + (<usize>i << 3))));
    sortAscending(own, n);
    writeRow(own, n, load<u32>(starts + (<usize>r << 2)), indices, values, names);
    store<i32>(counts + (<usize>r << 2), n);
  }
}

function writeRow(from: usize, n: i32, start: u32, indices: usize, values: usize, names: usize): void {
  for (let i = 0; i < n; i++) {
    const entry = load<u64>(from + (<usize>i << 3));
    let index = <u32>(entry >> 32);
    if (names !== 0) index = load<u32>(names + (<usize>index << 2));
    store<u32>(indices + (<usize>(start + i) << 2), index);
    store<u32>(values + (<usize>(start + i) << 2), <u32>entry);
  }
}

/** Cuts a list of n candidates to its k best; how many there then are. */
export function best(candidates: usize, n: i32, k: i32): i32 {
  if (n <= k) return n;
  partition(candidates, n, k);
  return k;
}

/** Ends scanBatch: the n candidates by row. `scratch` holds as many numbers of 64 bits; `starts` and `counts` [B]. */
export function finishBatch(candidates: usize, n: i32, scratch: usize, B: i32, F: u32, starts: usize, counts: usize, indices: usize, values: usize): void {
  memory.fill(counts, 0, <usize>B << 2);
  for (let i = 0; i < n; i++) {
    const count = counts + (<usize>(~(<u32>load<u64>(candidates + (<usize>i << 3))) / F) << 2);
    store<i32>(count, load<i32>(count) + 1);
  }
  let start: u32 = 0;
  for (let r = 0; r < B; r++) {
    store<u32>(starts + (<usize>r << 2), start);
    start += load<u32>(counts + (<usize>r << 2));
    store<i32>(counts + (<usize>r << 2), 0);
  }
  for (let i = 0; i < n; i++) {
    const key = load<u64>(candidates + (<usize>i << 3));
    const flat = ~(<u32>key);
    const row = flat / F;
    const count = counts + (<usize>row << 2);
    const at = load<u32>(starts + (<usize>row << 2)) + load<u32>(count);
    store<i32>(count, load<i32>(count) + 1);
    store<u64>(scratch + (<usize>at << 3), (<u64>(flat - row * F) << 32) | (key >> 32));
  }
  for (let r = 0; r < B; r++) {
    const at = load<u32>(starts + (<usize>r << 2));
    const rowCount = load<i32>(counts + (<usize>r << 2));
    sortAscending(scratch + (<usize>at << 3), rowCount);
    writeRow(scratch + (<usize>at << 3), rowCount, at, indices, values, 0);
  }
}

/**
 * Every positive entry of h [rows, n] into its row's `capacity` places; `counts` [rows], carried from piece to piece, goes
 * on counting beyond them.
 */
export function scanPositive(h: usize, rows: i32, n: i32, base: u32, capacity: i32, starts: usize, counts: usize, indices: usize, values: usize): void {
  const zero = f32x4.splat(0);
  for (let r = 0; r < rows; r++) {
    const row = h + <usize>r * (<usize>n << 2);
    const start = load<u32>(starts + (<usize>r << 2));
    let count = load<i32>(counts + (<usize>r << 2));
    for (let i = 0; i < n; i += 16) {
      const at = row + (<usize>i << 2);
      let mask: u32 = 0;
      if (i + 16 <= n) mask = above16(at, zero);
      else for (let rest = 0; rest < n - i; rest++) if (load<f32>(at + (<usize>rest << 2)) > 0) mask |= 1 << rest;
      while (mask !== 0) {
        const bit = ctz(mask);
        mask &= mask - 1;
        if (count < capacity) {
          const place = <usize>(start + count) << 2;
          store<u32>(indices + place, base + i + bit);
          store<f32>(values + place, load<f32>(at + (<usize>bit << 2)));
        }
        count++;
      }
    }
    store<i32>(counts + (<usize>r << 2), count);
  }
}

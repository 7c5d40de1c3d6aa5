const POWERS = Array.from({ length: 23 }, (_, k) => 10 ** k);

/**
 * The double that prints as the shortest decimal (6 to 9 digits) which is the float32 x when rounded to one: 0.1 for
 * 0.10000000149011612. Outside 1e-12 to 1e9, and where x is no float32, x itself.
 */
export function shortFloat(x: number): number {
  const size = x < 0 ? -x : x;
  // Also NaN, infinities and 0.
  if (!(size >= 1e-12 && size < 1e9)) return x;
  let k = 5;
  // Digits before the point are at most 9, zeros after it at most 11: few steps for activations, which are near 1.
  for (let at = size; at >= 10; at /= 10) k--;
  for (let at = size; at < 1; at *= 10) k++;
  for (let digits = 6; digits <= 9; digits++, k++) {
    // An integer below 2^53 over an exact power of ten is the double nearest to the decimal.
    const short = k >= 0 ? Math.round(x * POWERS[k]!) / POWERS[k]! : Math.round(x / POWERS[-k]!) * POWERS[-k]!;
    if (Math.fround(short) === x) return short;
  }
  return x;
}

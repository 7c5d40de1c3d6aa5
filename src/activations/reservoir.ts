/**
 * Uniform sampling without state: every item gets a priority that is a hash of (seed, stream, item), and the K items of
 * highest priority are the sample. This is a uniform sample without replacement of the items offered, whatever their
 * order; it can be stopped and continued, and samples of parts merge into the sample of the whole (bottom-k sampling,
 * Cohen & Kaplan 2007). Sorted by priority the sample is also in random order.
 *
 * @param seed 32-bit. @param stream e.g. feature index. @param item non-negative integer below 2^53.
 * @returns a number in [0, 1) with 32 bits.
 */
export function samplePriority(seed: number, stream: number, item: number): number {
  let h = mix((seed ^ 0x9e3779b9) >>> 0);
  h = mix((h ^ stream) >>> 0);
  h = mix((h ^ item) >>> 0);
  h = mix((h + Math.floor(item / 4294967296) + 0x85ebca6b) >>> 0);
  return h / 4294967296;
}

/** The finaliser of MurmurHash3: a bijection of 32-bit words in which every input bit moves every output bit. */
function mix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

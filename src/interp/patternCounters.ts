import { invariant } from '../domain/errors.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import { purityOf, type Purity, type PurityAt } from './purity.ts';

/** Bins per octave, a power of two: a bin is a float32's exponent with its first bits of mantissa. */
const PER_OCTAVE_BITS = 3;
const LEAST_EXPONENT = -12;
const OCTAVES = 24;
/** Bins of a feature's activations: 2^-12 to 2^12, each 2^(1/8) to 9/8 wide; what lies outside is counted in the outermost. */
export const PATTERN_BINS = OCTAVES << PER_OCTAVE_BITS;

const SHIFT = 23 - PER_OCTAVE_BITS;
const FIRST = (127 + LEAST_EXPONENT) << PER_OCTAVE_BITS;
const scratch = new Float32Array(1);
const bits = new Uint32Array(scratch.buffer);

function binOf(value: number): number {
  scratch[0] = value;
  return Math.min(PATTERN_BINS - 1, Math.max(0, (bits[0] >>> SHIFT) - FIRST));
}

/** Lower edge of a bin; 0 for the first, which holds all that is smaller. */
export function binEdge(bin: number): number {
  if (bin === 0) return 0;
  bits[0] = (bin + FIRST) << SHIFT;
  return scratch[0];
}

/** What one feature does on a pattern. */
export interface Detection {
  /** Of "activation above the threshold". */
  readonly purity: PurityAt;
  /** Of the bin edge with the greatest F1; of equals the greatest. Null for a silent feature. */
  readonly best: PurityAt | null;
  /** Mean activation over the tokens of the pattern, silent ones as 0. */
  readonly meanOnPattern: number;
  /** Largest activation anywhere. */
  readonly maxActivation: number;
}

/**
 * For each of F features, over a stream of tokens: how often it is active on a pattern and elsewhere, above a threshold and at
 * every edge of a logarithmic histogram. Memory: F · (2·192 + 2)·4 + F · 12 bytes, 1.6 kB a feature, whatever the text's length.
 */
export class PatternCounters {
  readonly nFeatures: number;
  readonly threshold: number;
  readonly #matches: Uint32Array;
  readonly #active: Uint32Array;
  readonly #sum: Float64Array;
  readonly #max: Float32Array;
  readonly #onPattern: Uint32Array;
  readonly #all: Uint32Array;

  constructor(nFeatures: number, threshold: number) {
    this.nFeatures = nFeatures;
    this.threshold = threshold;
    this.#matches = new Uint32Array(nFeatures);
    this.#active = new Uint32Array(nFeatures);
    this.#sum = new Float64Array(nFeatures);
    this.#max = new Float32Array(nFeatures);
    this.#onPattern = new Uint32Array(nFeatures * PATTERN_BINS);
    this.#all = new Uint32Array(nFeatures * PATTERN_BINS);
  }

  /** Counts codes whose row r is the token with mask[first + r]. */
  add(codes: SparseCodes, mask: Uint8Array, first: number): void {
    invariant(codes.nFeatures === this.nFeatures && first + codes.rows <= mask.length, 'codes of another dictionary or more tokens than the mask');
    for (let r = 0; r < codes.rows; r++) {
      const hit = mask[first + r] !== 0;
      for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) {
        const [j, value] = [codes.features[e], codes.values[e]];
        const bin = j * PATTERN_BINS + binOf(value);
        this.#all[bin]++;
        if (value > this.threshold) this.#active[j]++;
        if (value > this.#max[j]) this.#max[j] = value;
        if (!hit) continue;
        this.#onPattern[bin]++;
        if (value > this.threshold) this.#matches[j]++;
        this.#sum[j] += value;
      }
    }
  }

  /** @param pattern tokens of the pattern in what was counted. */
  of(j: number, pattern: number): Detection {
    const purity: PurityAt = { rule: 'above', threshold: this.threshold, ...purityOf(this.#matches[j], this.#active[j], pattern) };
    return { purity, best: this.#best(j, pattern), meanOnPattern: pattern === 0 ? 0 : this.#sum[j] / pattern, maxActivation: this.#max[j] };
  }

  #best(j: number, pattern: number): PurityAt | null {
    let [matches, active] = [0, 0];
    let best: { readonly bin: number; readonly purity: Purity } | null = null;
    for (let bin = PATTERN_BINS - 1; bin >= 0; bin--) {
      const count = this.#all[j * PATTERN_BINS + bin];
      if (count === 0) continue;
      active += count;
      matches += this.#onPattern[j * PATTERN_BINS + bin];
      const purity = purityOf(matches, active, pattern);
      if (best === null || (purity.f1 ?? 0) > (best.purity.f1 ?? 0)) best = { bin, purity };
    }
    return best === null ? null : { rule: 'at least', threshold: binEdge(best.bin), ...best.purity };
  }

  /** Typed arrays that hold the whole state, for checkpoints; writing into them restores it. */
  get arrays(): ReadonlyMap<string, Uint32Array | Float32Array | Float64Array> {
    return new Map<string, Uint32Array | Float32Array | Float64Array>([['matches', this.#matches], ['active', this.#active], ['sum', this.#sum], ['max', this.#max], ['onPattern', this.#onPattern], ['all', this.#all]]);
  }
}

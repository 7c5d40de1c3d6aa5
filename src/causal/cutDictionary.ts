import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import { writeReconstruction } from './reconstruction.ts';

/** Features that stay as they are, by dictionary. */
export type Kept = ReadonlyMap<DictionaryWeights, ReadonlySet<number>>;

const NOTHING: ReadonlySet<number> = new Set();

interface CutOptions {
  /** What features that are not kept become: 0, or their means [F] by dictionary. */
  readonly ablateTo: 'zero' | ReadonlyMap<DictionaryWeights, Float32Array>;
  readonly error: 'keep' | 'remove';
}

/** The edits that leave of one dictionary only the features kept: x′ = x + Σ s·(ĉ_j − c_j) f_j over all others, or the reconstruction from ĉ. */
export class CutDictionary {
  readonly #weights: DictionaryWeights;
  readonly #means: Float32Array | null;
  readonly #error: CutOptions['error'];
  /** Σ s·mean_j f_j over the features not kept, by the set kept. */
  readonly #ground = new Map<ReadonlySet<number>, Float64Array>();

  constructor(weights: DictionaryWeights, { ablateTo, error }: CutOptions) {
    this.#weights = weights;
    this.#means = ablateTo === 'zero' ? null : (ablateTo.get(weights) ?? null);
    this.#error = error;
  }

  /**
   * [B, T, dOut]; padded positions are 0.
   *
   * @param kept by row of the batch.
   * @param codes of the batch, rows b·T + t.
   * @param x what the dictionary read [B, T, dIn].
   * @param y what stands at its output hook point [B, T, dOut]; read where the error term is removed.
   */
  delta(kept: readonly Kept[], { cols, lengths }: { readonly cols: number; readonly lengths: Int32Array }, codes: SparseCodes, x: Float32Array, y: Float32Array): Float32Array {
    const { dIn, dOut, outputScale } = this.#weights.config;
    const delta = new Float32Array(kept.length * cols * dOut);
    for (const [b, row] of kept.entries()) {
      const keep = row.get(this.#weights) ?? NOTHING;
      const ground = this.#groundOf(keep);
      for (let r = b * cols; r < b * cols + lengths[b]; r++) {
        if (this.#error === 'remove') writeReconstruction(delta, r * dOut, this.#weights, codes, r, this.#changed(keep, codes, r), { data: x, at: r * dIn }, { data: y, at: r * dOut });
        const at = r * dOut;
        if (ground !== null) for (let q = 0; q < dOut; q++) delta[at + q] += ground[q];
        if (this.#error === 'remove') continue;
        for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) {
          const j = codes.features[e];
          if (keep.has(j)) continue;
          const factor = codes.values[e] * outputScale;
          for (let q = 0, f = j * dOut; q < dOut; q++, f++) delta[at + q] -= factor * this.#weights.decoder[f];
        }
      }
    }
    return delta;
  }

  /** The active features that are not kept, all to 0: their means are added as one vector. */
  #changed(keep: ReadonlySet<number>, codes: SparseCodes, r: number): Map<number, number> {
    const changed = new Map<number, number>();
    for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) if (!keep.has(codes.features[e])) changed.set(codes.features[e], 0);
    return changed;
  }

  #groundOf(keep: ReadonlySet<number>): Float64Array | null {
    if (this.#means === null) return null;
    let ground = this.#ground.get(keep);
    if (ground === undefined) {
      const { nFeatures, dOut, outputScale } = this.#weights.config;
      ground = new Float64Array(dOut);
      for (let j = 0; j < nFeatures; j++) {
        if (keep.has(j) || this.#means[j] === 0) continue;
        for (let q = 0; q < dOut; q++) ground[q] += this.#means[j] * outputScale * this.#weights.decoder[j * dOut + q];
      }
      this.#ground.set(keep, ground);
    }
    return ground;
  }
}

import { invariant } from '../domain/errors.ts';
import type { Exemplar, Histogram } from '../domain/feature.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import { chooseSampled, maxOf, SAMPLE_SIZE } from './exemplars.ts';
import { Histograms } from './histogram.ts';
import { samplePriority } from './reservoir.ts';
import { KeptFragments } from './topExemplars.ts';
import type { KeptFragment } from './topExemplars.ts';

/** Exemplars kept at the top. */
export const TOP_EXEMPLARS = 20;
/** Tokens of a fragment (Cunningham et al. 2023, appendix A). */
export const FRAGMENT_TOKENS = 64;

/** Statistics of one feature over the tokens read. */
export interface CollectedFeature {
  readonly density: number;
  readonly maxActivation: number;
  readonly meanActivation: number | null;
  readonly histogram: Histogram;
  /** ids are left for the caller, who has the token file. */
  readonly exemplars: readonly Omit<Exemplar, 'ids'>[];
}

/** The collector's whole state as flat arrays, for checkpoints. */
export type CollectorState = ReadonlyMap<string, Uint32Array | Float32Array | Float64Array>;

/**
 * Reads the sparse codes of one dictionary once, row after row, and keeps for each feature: how often, how strongly and
 * with what distribution it fires; its top fragments; a uniform sample of its active fragments.
 *
 * A fragment is one of the fixed windows of 64 tokens that a row is cut into (all of the row when it is shorter; a rest
 * of fewer than 64 tokens counts in the statistics but gives no exemplar). The score of a fragment is the feature's max
 * in it. Top exemplars come from different rows: of each row the best fragment competes, the earliest on ties; among
 * equal scores the earlier row wins.
 *
 * Everything but the order in which a sum is rounded is independent of the order of rows. Memory per feature: about
 * 1.1 kB, and for features that fire at most (20 + 40)·64·4 = 15 kB of activations; beside that F·64·4 bytes of scratch.
 */
export class FeatureCollector {
  readonly nFeatures: number;
  readonly #cols: number;
  readonly #length: number;
  readonly #perRow: number;
  readonly #seed: number;
  #tokens = 0;
  readonly #sum: Float64Array;
  readonly #max: Float32Array;
  readonly #histograms: Histograms;
  readonly #top: KeptFragments;
  readonly #sample: KeptFragments;
  /** Row (+1) of the feature's latest top fragment, and its slot: two fragments of one row never both stay. Reset between calls. */
  readonly #lastRow: Float64Array;
  readonly #lastSlot: Uint32Array;
  /** [F, L] activations of the fragment at hand, and its max per feature. */
  readonly #scratch: Float32Array;
  readonly #fragmentMax: Float32Array;
  readonly #touched: Uint32Array;

  /** @param cols tokens a row. @param seed chooses the random sample. */
  constructor(nFeatures: number, cols: number, seed: number) {
    this.nFeatures = nFeatures;
    this.#cols = cols;
    this.#length = Math.min(FRAGMENT_TOKENS, cols);
    this.#perRow = Math.floor(cols / this.#length);
    this.#seed = seed;
    this.#sum = new Float64Array(nFeatures);
    this.#max = new Float32Array(nFeatures);
    this.#histograms = new Histograms(nFeatures);
    this.#top = new KeptFragments(nFeatures, TOP_EXEMPLARS, this.#length);
    this.#sample = new KeptFragments(nFeatures, SAMPLE_SIZE, this.#length);
    this.#lastRow = new Float64Array(nFeatures);
    this.#lastSlot = new Uint32Array(nFeatures);
    this.#scratch = new Float32Array(nFeatures * this.#length);
    this.#fragmentMax = new Float32Array(nFeatures);
    this.#touched = new Uint32Array(nFeatures);
  }

  /** Tokens read so far. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Takes the codes of whole rows of the token file; `rows[b]` is the number of the row that codes b·cols … belong to. Each row comes once. */
  add(codes: SparseCodes, rows: ArrayLike<number>): void {
    invariant(codes.rows === rows.length * this.#cols && codes.nFeatures === this.nFeatures, 'codes do not fit the collector');
    invariant(this.#tokens + codes.rows < 2 ** 32, 'more than 2^32 tokens in one pass');
    for (let b = 0; b < rows.length; b++) {
      const first = b * this.#cols;
      for (let part = 0; part < this.#perRow; part++) this.#fragment(codes, first + part * this.#length, rows[b], part);
      this.#count(codes, first + this.#perRow * this.#length, first + this.#cols);
    }
    this.#tokens += codes.rows;
  }

  /** Statistics of tokens that are in no fragment. */
  #count(codes: SparseCodes, from: number, to: number): void {
    const { features, values } = codes;
    const end = codes.offsets[to];
    for (let e = codes.offsets[from]; e < end; e++) {
      const f = features[e];
      this.#sum[f] += values[e];
      this.#max[f] = Math.max(this.#max[f], values[e]);
      this.#histograms.add(f, values[e]);
    }
  }

  /** The hot loop: one visit of each activation for everything that is kept about it. */
  #fragment(codes: SparseCodes, from: number, row: number, part: number): void {
    const { offsets, features, values } = codes;
    const length = this.#length;
    const [sum, fragmentMax, scratch, touched, histograms] = [this.#sum, this.#fragmentMax, this.#scratch, this.#touched, this.#histograms];
    let count = 0;
    for (let t = 0, e = offsets[from]; t < length; t++) {
      const end = offsets[from + t + 1];
      for (; e < end; e++) {
        const f = features[e];
        const value = values[e];
        const max = fragmentMax[f];
        if (max === 0) touched[count++] = f;
        if (value > max) fragmentMax[f] = value;
        sum[f] += value;
        scratch[f * length + t] = value;
        histograms.add(f, value);
      }
    }
    const fragment = row * this.#perRow + part;
    for (let i = 0; i < count; i++) {
      const f = touched[i];
      this.#offer(f, fragment, row);
      scratch.fill(0, f * length, (f + 1) * length);
    }
  }

  #offer(f: number, fragment: number, row: number): void {
    const max = this.#fragmentMax[f];
    this.#fragmentMax[f] = 0;
    if (max > this.#max[f]) this.#max[f] = max;
    const at = f * this.#length;
    const priority = samplePriority(this.#seed, f, fragment);
    this.#sample.offer(f, fragment, priority, this.#scratch, at);
    if (this.#lastRow[f] === row + 1) {
      const slot = this.#lastSlot[f];
      if (max > this.#top.keyAt(f, slot)) this.#top.offer(f, fragment, max, this.#scratch, at, slot);
      return;
    }
    const slot = this.#top.offer(f, fragment, max, this.#scratch, at);
    if (slot < 0) return;
    this.#lastRow[f] = row + 1;
    this.#lastSlot[f] = slot;
  }

  /** What was found about feature f so far. */
  feature(f: number): CollectedFeature {
    const active = this.#histograms.total(f);
    const top = this.#top.get(f).map((kept, rank) => this.#exemplar('top', rank, kept));
    const sampled = chooseSampled(this.#sample.get(f)).map(({ kind, rank, kept }) => this.#exemplar(kind, rank, kept));
    return {
      density: this.#tokens === 0 ? 0 : active / this.#tokens,
      maxActivation: this.#max[f],
      meanActivation: active === 0 ? null : this.#sum[f] / active,
      histogram: this.#histograms.get(f),
      exemplars: [...top, ...sampled],
    };
  }

  #exemplar(kind: Exemplar['kind'], rank: number, kept: KeptFragment): Omit<Exemplar, 'ids'> {
    return {
      kind,
      rank,
      row: Math.floor(kept.fragment / this.#perRow),
      start: (kept.fragment % this.#perRow) * this.#length,
      activations: Array.from(kept.activations),
      maxActivation: maxOf(kept.activations),
    };
  }

  save(): CollectorState {
    const state = new Map<string, Uint32Array | Float32Array | Float64Array>([
      ['tokens', Float64Array.of(this.#tokens)],
      ['sum', this.#sum.slice()],
      ['max', this.#max.slice()],
      ['histogram.counts', this.#histograms.arrays.counts.slice()],
      ['histogram.inverse', this.#histograms.arrays.inverse.slice()],
    ]);
    for (const [name, kept] of [['top', this.#top], ['sample', this.#sample]] as const) {
      for (const [part, data] of Object.entries(kept.save())) state.set(`${name}.${part}`, data);
    }
    return state;
  }

  /** Restores what `save` gave, into a new collector of the same shape and seed. */
  restore(state: CollectorState): void {
    this.#tokens = floats(state, 'tokens')[0]!;
    this.#sum.set(floats(state, 'sum'));
    this.#max.set(singles(state, 'max'));
    this.#histograms.arrays.counts.set(words(state, 'histogram.counts'));
    this.#histograms.arrays.inverse.set(floats(state, 'histogram.inverse'));
    for (const [name, kept] of [['top', this.#top], ['sample', this.#sample]] as const) {
      kept.restore({
        sizes: words(state, `${name}.sizes`),
        keys: floats(state, `${name}.keys`),
        fragments: floats(state, `${name}.fragments`),
        packed: singles(state, `${name}.packed`),
      });
    }
  }
}

function words(state: CollectorState, name: string): Uint32Array {
  const data = state.get(name);
  invariant(data instanceof Uint32Array, `collector state: ${name} is no Uint32Array`);
  return data;
}

function floats(state: CollectorState, name: string): Float64Array {
  const data = state.get(name);
  invariant(data instanceof Float64Array, `collector state: ${name} is no Float64Array`);
  return data;
}

function singles(state: CollectorState, name: string): Float32Array {
  const data = state.get(name);
  invariant(data instanceof Float32Array, `collector state: ${name} is no Float32Array`);
  return data;
}

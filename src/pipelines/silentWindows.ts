import { createHash } from 'node:crypto';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { FragmentRef } from '../domain/feature.ts';
import type { TextWindow } from '../interp/detectionWindows.ts';
import { overlaps, refOf } from '../interp/split.ts';
import type { Rng } from '../math/rng.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { inOrder } from './inOrder.ts';
import { BATCH_TOKENS } from './probeReader.ts';

/** Fragments read unless told otherwise: some hundreds of windows, of which a feature that is active in three of four still leaves enough. */
export const SILENT_POOL_FRAGMENTS = 256;

export interface SilentWindows {
  /** Tokens of every window. */
  readonly length: number;
  /** Windows in the pool. */
  readonly size: number;
  /** Hash of what the answers depend on: model, dictionary, windows. */
  readonly identity: string;
  /**
   * Windows where the feature is active on no token, none sharing text with `exclude`, drawn by `rng`: those read with all the text
   * before them first, others only where these do not suffice. Fewer than `count` where there are no more.
   */
  of(feature: number, count: number, exclude: readonly FragmentRef[], rng: Rng): readonly TextWindow[];
}

export interface SilentWindowsInput {
  readonly model: SubjectModel;
  readonly dictionary: DictionaryWeights;
  /**
   * Fragments of the analysed text, e.g. random exemplars of many features. Those that begin a row are read first, up to `most`; one
   * that shares text with an earlier one is left out. Give more than `most`, so that enough of them begin a row.
   */
  readonly fragments: readonly TextWindow[];
  /** Tokens of a window. */
  readonly length: number;
  /** Fragments that are read at most; default SILENT_POOL_FRAGMENTS. */
  readonly most?: number;
}

/**
 * Reads a pool of fragments once and remembers which features are active in which of its windows, so that windows where a feature
 * is silent can be had for any feature without running the model again.
 *
 * Each fragment is run by itself. One that begins its row is read exactly as the analysis read it, and all its windows are used. Of
 * another, what stood before it is missing, so only windows with at least `length` tokens of the fragment before them are used, and
 * only after the former: on the demo model one in twenty of these holds a token where the feature, read with the whole row, is
 * active. Those who ask should exclude all fragments where they know the feature to be active.
 *
 * Cost: one forward run over all fragments' tokens (256 fragments of 64 tokens: 16,384 tokens). Memory: one bit per window and
 * feature, W·F/8 bytes (512 windows, 32,768 features: 2 MiB), whatever the density; and the windows' ids.
 */
export async function openSilentWindows({ model, dictionary, fragments, length, most = SILENT_POOL_FRAGMENTS }: SilentWindowsInput): Promise<SilentWindows> {
  if (!(Number.isInteger(length) && length >= 1)) throw new CallerError('BAD_INPUT', `length of a window: expected a whole number from 1, found ${length}`);
  const pool = windowsOf(fragments, length, most);
  const stride = Math.ceil(dictionary.config.nFeatures / 8);
  const active = new Uint8Array(pool.windows.length * stride);
  const runs = inOrder(batchesOf(pool.fragments), model.concurrency + 1, async (batch) => {
    const cols = batch[0].fragment.ids.length;
    const ids = Int32Array.from(batch.flatMap(({ fragment }) => fragment.ids));
    const { codes } = await model.forward({ batch: { rows: batch.length, cols, ids, lengths: new Int32Array(batch.length).fill(cols) }, taps: [], logits: 'none', encode: [dictionary] });
    return { batch, cols, codes: codes[0] };
  });
  for await (const { batch, cols, codes } of runs) {
    batch.forEach(({ places }, b) => {
      for (const { window, from } of places) {
        const row = b * cols + from;
        for (let e = codes.offsets[row]; e < codes.offsets[row + length]; e++) {
          if (codes.values[e] > 0) active[window * stride + (codes.features[e] >> 3)] |= 1 << (codes.features[e] & 7);
        }
      }
    });
  }
  const refs = pool.windows.map(refOf);
  return {
    length,
    size: pool.windows.length,
    identity: createHash('sha256').update(JSON.stringify(['silent-1', model.info.weightsHash, dictionary.config.weightsHash, length, pool.windows])).digest('hex'),
    of(feature, count, exclude, rng) {
      invariant(feature >= 0 && feature < dictionary.config.nFeatures, `no feature ${feature} in dictionary ${dictionary.config.name}`);
      const isSilent = (w: number): boolean => (active[w * stride + (feature >> 3)] & (1 << (feature & 7))) === 0;
      const found = pool.windows.map((window, w) => ({ window, w })).filter(({ w }) => isSilent(w) && !exclude.some((ref) => overlaps(ref, refs[w])));
      const [whole, rest] = [true, false].map((is) => found.filter(({ w }) => w < pool.whole === is).map(({ window }) => window));
      return [...rng.shuffle(whole), ...rng.shuffle(rest)].slice(0, count);
    },
  };
}

interface PooledFragment {
  readonly fragment: TextWindow;
  /** Windows cut from it: number in the pool, first token inside the fragment. */
  readonly places: readonly { readonly window: number; readonly from: number }[];
}

interface Pool {
  readonly fragments: readonly PooledFragment[];
  /** Those of fragments that begin a row first. */
  readonly windows: readonly TextWindow[];
  /** How many these are. */
  readonly whole: number;
}

function windowsOf(fragments: readonly TextWindow[], length: number, most: number): Pool {
  const windows: TextWindow[] = [];
  const pooled: PooledFragment[] = [];
  let whole = 0;
  for (const fragment of [...fragments.filter(({ start }) => start === 0), ...fragments.filter(({ start }) => start > 0)]) {
    if (pooled.length >= most) break;
    if (pooled.some((other) => overlaps(refOf(other.fragment), refOf(fragment)))) continue;
    const { row, start, ids } = fragment;
    const places: { window: number; from: number }[] = [];
    for (let from = ids.length - length; from >= (start === 0 ? 0 : length); from -= length) {
      places.push({ window: windows.length, from });
      windows.push({ row, start: start + from, ids: ids.slice(from, from + length) });
    }
    if (places.length > 0) pooled.push({ fragment, places });
    if (start === 0) whole = windows.length;
  }
  return { fragments: pooled, windows, whole };
}

/** Fragments of one length share a batch, so nothing is padded; what is in a batch does not depend on the number of workers. */
function batchesOf(fragments: readonly PooledFragment[]): PooledFragment[][] {
  const batches: PooledFragment[][] = [];
  for (const [length, group] of Map.groupBy(fragments, ({ fragment }) => fragment.ids.length)) {
    const rows = Math.max(1, Math.floor(BATCH_TOKENS / length));
    for (let at = 0; at < group.length; at += rows) batches.push(group.slice(at, at + rows));
  }
  return batches;
}

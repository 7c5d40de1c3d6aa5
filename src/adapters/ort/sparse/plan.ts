import { groupSizes } from '../../../dictionary/matryoshka.ts';
import type { TrainerSpec } from '../../../domain/training.ts';
import { Layout } from '../kernels/layout.ts';

/** What every thread of a sparse trainer is told; all addresses follow from it. */
export interface SparseSetup {
  readonly spec: TrainerSpec;
  readonly threads: number;
  /** Name and length of every state tensor but `step`. */
  readonly tensors: readonly (readonly [name: string, length: number])[];
}

/**
 * Active entries of a batch, as addresses: of row r, counts[r] of them from starts[r] on, by ascending feature: feature
 * `indices`, code `values`, dL/dh `slopes`. And the same entries by feature and then row: from offsets[j] to offsets[j + 1]
 * the row `rows`, `codes` = value·(alpha or the auxiliary loss's factor), dL/dh `rises`.
 */
export interface Entries {
  readonly starts: number;
  readonly counts: number;
  readonly indices: number;
  readonly values: number;
  readonly slopes: number;
  readonly totals: number;
  readonly offsets: number;
  readonly cursors: number;
  readonly rows: number;
  readonly codes: number;
  readonly rises: number;
  /** Most entries of one row where rows have fixed places; for a batch's selection, of all rows together. */
  readonly capacity: number;
  readonly total: number;
}

/**
 * Features whose pre-activations, gradients and updates are handled at a time: few enough that a block's pre-activations stay
 * in a core's cache, and where there are dense products of gradients, whose other side is arranged anew for each, twice as many.
 */
const CHUNK = { sparse: 256, dense: 512 };
/** Rows of one task of the kernels that work on rows. */
export const PIECE = 64;
/** Rows that show whether codes are sparse, in two tasks. */
export const SAMPLE = 32;
/**
 * Where all of a step's gradients fit in this they are kept between their norm and their use, and dense codes between forward
 * and backward; where they do not, they are computed twice: then the state is large and memory worth more.
 */
const GRADIENT_BYTES = 32 << 20;
const CODE_BYTES = 128 << 20;

/** Most active codes of one vector that sparse steps of tied and untied have room for. */
const MOST_ENTRIES = 1024;

/**
 * The share of active codes up to which sparse kernels beat four dense products: they read a decoder row for each code, from
 * a cache near by or from far away.
 */
export function sparseShare({ nFeatures: F, dOut }: TrainerSpec): number {
  return 4 * F * dOut <= 8 << 20 ? 1 / 8 : 1 / 16;
}

/** How codes are selected: k per row, k·B per batch, or all that are positive. */
export type Selection = 'rows' | 'batch' | 'positive';

export interface SparsePlan extends ReturnType<typeof planSparse> {}

/** Sizes, tasks and the addresses of everything in the shared memory. */
export function planSparse({ spec, threads, tensors }: SparseSetup) {
  const { batchSize: B, dIn: D, dOut: O, nFeatures: F, transcoder, skip, architecture, hyper } = spec;
  const tied = architecture === 'tied';
  const selection: Selection = architecture === 'topk' ? 'rows' : architecture === 'batchtopk' || architecture === 'matryoshka' ? 'batch' : 'positive';
  // Where matryoshka's prefixes end; all others have the one that is everything.
  const prefixes = architecture === 'matryoshka' ? groupSizes(spec).reduce<number[]>((ends, size) => [...ends, (ends.at(-1) ?? 0) + size], []) : [F];
  const G = prefixes.length;
  // Sizes of tasks depend on the spec alone: how many threads there are must change no sum.
  const rowBlock = Math.min(512, PIECE * Math.ceil(B / 4 / PIECE));
  const chunk = Math.min(selection === 'positive' ? CHUNK.dense : CHUNK.sparse, F);
  const groups = Math.ceil(F / chunk);
  const pieces = Math.ceil(B / PIECE);

  const layout = new Layout();
  const state = new Map(tensors.map(([name, length]) => [name, layout.take(length)]));
  const x = layout.take(B * D);
  const y = transcoder ? layout.take(B * O) : x;
  const input = tied || transcoder ? x : layout.take(B * D);
  const target = skip ? layout.take(B * O) : y;
  /** Residual of every prefix, each in the end with those of the longer ones added on; e is the last. */
  const errors = layout.take(G * B * O);
  const e = errors + 4 * (G - 1) * B * O;

  const entries = (starts: number, perRow: number, total: number): Entries => ({
    starts,
    counts: layout.take(B),
    indices: layout.take(total),
    values: layout.take(total),
    slopes: layout.take(total),
    totals: layout.take(F),
    offsets: layout.take(F + 1),
    cursors: layout.take(F),
    rows: layout.take(total),
    codes: layout.take(total),
    rises: layout.take(total),
    capacity: perRow,
    total,
  });
  const mostActive = selection === 'positive' ? Math.min(F, Math.max(64, Math.min(Math.ceil(2 * F * sparseShare(spec)), MOST_ENTRIES))) : hyper.k;
  const keepsCodes = selection === 'positive' && 4 * B * groups * chunk <= CODE_BYTES;
  // Entries are what a sparse step has, dense codes what a dense one has. Where rows' entries start stays.
  const starts = layout.take(B);
  const [main, denseCodes] = layout.overlay(() => entries(starts, mostActive, B * mostActive), () => layout.take(keepsCodes ? B * groups * chunk : 0));
  const auxiliary = selection !== 'positive' && hyper.auxCoefficient > 0 ? { ...entries(layout.take(B), hyper.auxK, B * hyper.auxK), u: layout.take(B * O), names: layout.take(F) } : null;

  /** Candidates of one row, or of a thread's share of the batch, before they are cut to the best. */
  const candidates = (k: number): number => 2 * k + 64;
  const batchCandidates = 2 * B * hyper.k + 1024;
  const batch = selection === 'batch' ? { capacity: batchCandidates, lists: layout.take(threads * batchCandidates, 8), scratch: layout.take(threads * batchCandidates, 8), lengths: layout.take(threads), floors: layout.take(threads) } : null;

  // One group's gradients: of rows (tied), or of encoder rows and decoder rows.
  const gradientBytes = 4 * chunk * (tied ? D : D + O);
  // Dense gradients cost too much to compute twice.
  const stored = hyper.clipNorm > 0 && (groups * gradientBytes <= GRADIENT_BYTES || selection === 'positive') ? groups : 0;
  const dense = selection === 'positive' ? { kept: keepsCodes ? groups : 0, codes: denseCodes, fired: layout.take(F), codeSums: layout.take(F) } : null;

  // A thread's own room: pre-activations of a block and their candidates, or gradients of a group with (dense) its codes.
  const rowCandidates = Math.max(selection === 'rows' ? candidates(hyper.k) : 0, auxiliary === null ? 0 : candidates(hyper.auxK));
  const own = new Layout();
  const scratchWeights = own.take(chunk * D);
  const scratchBias = own.take(chunk);
  const h = own.take(rowBlock * chunk);
  const lists = own.take(rowBlock * rowCandidates, 8);
  const lengths = own.take(rowBlock);
  const floors = own.take(rowBlock);
  const backward = new Layout();
  const gradients = backward.take(gradientBytes, 1);
  const backwardWeights = backward.take(chunk * D);
  const codes = dense === null || keepsCodes ? 0 : backward.take(B * chunk);
  const slopes = dense === null ? 0 : backward.take(B * chunk);
  const scratchBytes = Math.max(own.bytes, backward.bytes);

  const shared = {
    storedGradients: layout.take(stored * gradientBytes, 1),
    biasGradient: layout.take(F),
    decoderBiasGradient: layout.take(O),
    skipGradient: layout.take(skip ? O * D : 0),
    columnSums: layout.take(pieces * O),
    errorSums: layout.take(G > 1 ? pieces * O : 0),
    mean: layout.take(O),
    biasPull: layout.take(tied ? 0 : groups * D),
    rowSquares: layout.take(G * B, 8),
    groupSquares: layout.take(groups + 1, 8),
    inverses: layout.take(F),
    scalars: layout.take(16, 8),
    addend: layout.take(1),
    scratch: layout.take(threads * scratchBytes, 1),
  };
  return {
    spec, threads, lengths: new Map(tensors), tied, selection, prefixes, errors, alpha: 2 / (G * B * O), B, D, O, F, rowBlock, groups, chunk, pieces, blocks: Math.ceil(B / rowBlock),
    state, x, y, input, target, e, main, auxiliary, batch, dense, stored, gradientBytes, candidates,
    scratchBytes, forward: { weights: scratchWeights, bias: scratchBias, h, lists, lengths, floors }, backward: { gradients, weights: backwardWeights, codes, slopes },
    ...shared,
    /** Of all of it. */
    bytes: layout.bytes,
  };
}

import { CallerError, invariant } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import type { RowGroup, RowLayout } from './rowSampler.ts';

export interface TrainingPlanSettings {
  /** Passes over the blocks, >= 1. */
  readonly epochs: number;
  /** Stop after about so many vectors (whole batches); null = no limit. */
  readonly maxVectors: number | null;
  /** B. */
  readonly batchSize: number;
  readonly seed: number;
}

/** One block at its turn in training. */
export interface PlannedBlock {
  readonly group: RowGroup;
  /** Vectors trained on: whole batches; what is left over in the block is not used this time. */
  readonly vectors: number;
  /** Vectors trained on before this block. */
  readonly before: number;
}

export interface TrainingPlan {
  readonly blocks: readonly PlannedBlock[];
  readonly vectors: number;
  /** Where vector v of block k (row-major) goes in training order; those at or beyond `vectors` are left out. */
  places(k: number): Uint32Array;
}

/**
 * Order of training vectors. Blocks follow one another; the vectors of a block are permuted by a generator derived from
 * (seed, place of the block in the plan), a different one every epoch. Nothing carries over from block to block, so
 * training resumes at any block boundary exactly, with no shuffle buffer to save.
 *
 * How well it mixes: a block is a random sample of R contexts of the corpus (R = block vectors / row length), and a batch a
 * random sample without replacement of its vectors, so a batch of 1024 holds on average 1024/R vectors of each of the
 * block's contexts: 4 for blocks of 65,536 vectors in rows of 256 tokens.
 *
 * Throws BAD_INPUT when not even one batch comes out.
 */
export function planTraining(layout: RowLayout, { epochs, maxVectors, batchSize, seed }: TrainingPlanSettings): TrainingPlan {
  invariant(Number.isSafeInteger(epochs) && epochs >= 1 && batchSize >= 1, `plan of ${epochs} epochs in batches of ${batchSize}`);
  const limit = maxVectors === null ? Infinity : Math.floor(maxVectors / batchSize) * batchSize;
  const blocks: PlannedBlock[] = [];
  let total = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const group of layout.blocks) {
      const inBlock = Math.floor((group.rows.length * layout.vectorsPerRow) / batchSize) * batchSize;
      const vectors = Math.min(inBlock, limit - total);
      if (vectors === 0) continue;
      blocks.push({ group, vectors, before: total });
      total += vectors;
    }
  }
  if (total === 0) {
    const available = layout.blocks.reduce((sum, group) => sum + group.rows.length * layout.vectorsPerRow, 0);
    throw new CallerError('BAD_INPUT', `no batch of ${batchSize} vectors comes out of ${available} training vectors in blocks of ${layout.blocks[0]!.rows.length * layout.vectorsPerRow} (limit ${maxVectors ?? 'none'}); give more text or a smaller batch`);
  }
  return {
    blocks,
    vectors: total,
    places(k) {
      const { group } = blocks[k]!;
      return Rng.derive(seed, 'shuffle', k).permutation(group.rows.length * layout.vectorsPerRow);
    },
  };
}

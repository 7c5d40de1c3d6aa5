import { CallerError } from '../domain/errors.ts';

/** Options of the train stage; all of them are part of the run's identity. */
export interface TrainOptions {
  readonly architecture: 'tied';
  /** R = F / D, > 0. */
  readonly ratio: number;
  /** L1 coefficient of the loss (src/dictionary/tied.ts says how it is scaled), in units of the activations trained on. */
  readonly l1: number;
  /** Adam's step size. */
  readonly learningRate: number;
  /** B, vectors per step. */
  readonly batchSize: number;
  /** Passes over the text. */
  readonly epochs: number;
  /** Vectors per dictionary to stop after; null = all of them. */
  readonly maxVectors: number | null;
  /** Vectors kept in memory and mixed at a time, per dictionary (see planTraining); null = as many as fit BLOCK_BYTES. */
  readonly blockVectors: number | null;
  /** Vectors to measure quality on, never trained on. */
  readonly heldOutVectors: number;
  /** First positions of every row left out. The paper keeps all (0), though position 0 is an outlier in most models. */
  readonly skipPositions: number;
  /** `none`: activations as they are (the paper). `expected-norm`: divided by mean‖x‖/√D, so that l1 means the same everywhere. */
  readonly normalise: 'none' | 'expected-norm';
  /** Blocks between checkpoints: what a killed run does again. */
  readonly checkpointBlocks: number;
  readonly seed: number;
}

/**
 * The paper's settings (Cunningham et al. 2023, appendix B and E), except that l1 is for `expected-norm`, where it gives 15 to
 * 40 active features at D = 192.
 */
export const TRAIN_DEFAULTS: TrainOptions = {
  architecture: 'tied',
  ratio: 4,
  l1: 8e-3,
  learningRate: 1e-3,
  batchSize: 1024,
  epochs: 1,
  maxVectors: null,
  blockVectors: null,
  heldOutVectors: 16_384,
  skipPositions: 0,
  normalise: 'expected-norm',
  checkpointBlocks: 4,
  seed: 0,
};

/** Memory one block may take over all dictionaries trained together, in bytes; about two blocks are held at a time. */
export const BLOCK_BYTES = 96 * 2 ** 20;

/** blockVectors as given, or from BLOCK_BYTES: a power of two from 4096 to 65536. */
export function resolveBlockVectors(blockVectors: number | null, hookPoints: number, D: number): number {
  if (blockVectors !== null) return blockVectors;
  const fitting = 2 ** Math.floor(Math.log2(BLOCK_BYTES / (hookPoints * D * 4)));
  return Math.min(65_536, Math.max(4096, fitting));
}

/** Throws BAD_INPUT for a value out of range. */
export function checkTrainOptions(options: TrainOptions): void {
  const wrong = (name: keyof TrainOptions, expected: string): never => {
    throw new CallerError('BAD_INPUT', `${name}: expected ${expected}, found ${String(options[name])}`);
  };
  for (const name of ['batchSize', 'epochs', 'checkpointBlocks', 'heldOutVectors'] as const) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) wrong(name, 'a positive integer');
  }
  for (const name of ['maxVectors', 'blockVectors'] as const) {
    const value = options[name];
    if (value !== null && (!Number.isSafeInteger(value) || value < 1)) wrong(name, 'a positive integer or null');
  }
  if (!(options.ratio > 0 && Number.isFinite(options.ratio))) wrong('ratio', 'a positive number');
  if (!(options.learningRate > 0 && Number.isFinite(options.learningRate))) wrong('learningRate', 'a positive number');
  if (!(options.l1 >= 0 && Number.isFinite(options.l1))) wrong('l1', 'a number from 0');
  if (!Number.isSafeInteger(options.skipPositions) || options.skipPositions < 0) wrong('skipPositions', 'an integer from 0');
  if (!Number.isSafeInteger(options.seed)) wrong('seed', 'an integer');
}

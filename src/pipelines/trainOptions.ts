import type { TrainableArchitecture } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { HookKind } from '../domain/hookPoint.ts';
import type { Hyperparameters } from '../domain/training.ts';

/** One kind of dictionary to train, at every hook point of the source. */
export interface DictionaryRecipe {
  /** Last part of the dictionaries' names, `{layer}-{set}`; differs between the recipes of a pass. */
  readonly set: string;
  readonly architecture: TrainableArchitecture;
  /** R = F / D, > 0. */
  readonly ratio: number;
  /** In the place of the architecture's defaults; units are those of the activations trained on. */
  readonly hyper: Partial<Hyperparameters>;
  /** A transcoder predicts the activations of this kind in the same layer; null = the dictionary reconstructs its input. */
  readonly output: HookKind | null;
  /** Transcoders only: a linear path beside the features. */
  readonly skip: boolean;
  /** Seed of the dictionary's start and of its resampling; the order of the data is the pass's. */
  readonly seed: number;
}

/** Options of the train stage; all of them are part of the run's identity. */
export interface TrainOptions {
  readonly recipes: readonly DictionaryRecipe[];
  /** B, vectors per step. */
  readonly batchSize: number;
  /** Passes over the text. */
  readonly epochs: number;
  /** Vectors per dictionary to stop after; null = all of them. */
  readonly maxVectors: number | null;
  /** Vectors kept in memory and mixed at a time, per hook point (see planTraining); null = as many as fit BLOCK_BYTES. */
  readonly blockVectors: number | null;
  /** Vectors to measure quality on, never trained on. */
  readonly heldOutVectors: number;
  /** First positions of every row left out. The paper keeps all (0), though position 0 is an outlier in most models. */
  readonly skipPositions: number;
  /** `none`: activations as they are (the paper). `expected-norm`: divided by mean‖x‖/√D, so that coefficients mean the same everywhere. */
  readonly normalise: 'none' | 'expected-norm';
  /** Blocks between checkpoints: what a killed run does again. */
  readonly checkpointBlocks: number;
  readonly seed: number;
}

/** The paper's dictionary (Cunningham et al. 2023, appendix B and E) but for the sparsity coefficient; see tied.ts. */
export const TIED_RECIPE: DictionaryRecipe = { set: 'tied-r4', architecture: 'tied', ratio: 4, hyper: {}, output: null, skip: false, seed: 0 };

export const TRAIN_DEFAULTS: TrainOptions = {
  recipes: [TIED_RECIPE],
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

/** Memory one block may take over all hook points together, in bytes; two blocks are held. */
export const BLOCK_BYTES = 96 * 2 ** 20;

/** blockVectors as given, or from BLOCK_BYTES: a power of two from 4096 to 65536. */
export function resolveBlockVectors(blockVectors: number | null, hookPoints: number, D: number): number {
  if (blockVectors !== null) return blockVectors;
  const fitting = 2 ** Math.floor(Math.log2(BLOCK_BYTES / (hookPoints * D * 4)));
  return Math.min(65_536, Math.max(4096, fitting));
}

/** Throws BAD_INPUT for a value out of range. Hyper-parameters are checked by their architecture. */
export function checkTrainOptions(options: TrainOptions): void {
  const wrong = (name: string, expected: string, found: unknown): never => {
    throw new CallerError('BAD_INPUT', `${name}: expected ${expected}, found ${String(found)}`);
  };
  for (const name of ['batchSize', 'epochs', 'checkpointBlocks', 'heldOutVectors'] as const) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) wrong(name, 'a positive integer', options[name]);
  }
  for (const name of ['maxVectors', 'blockVectors'] as const) {
    const value = options[name];
    if (value !== null && (!Number.isSafeInteger(value) || value < 1)) wrong(name, 'a positive integer or null', value);
  }
  if (!Number.isSafeInteger(options.skipPositions) || options.skipPositions < 0) wrong('skipPositions', 'an integer from 0', options.skipPositions);
  if (!Number.isSafeInteger(options.seed)) wrong('seed', 'an integer', options.seed);
  if (options.recipes.length === 0) wrong('recipes', 'at least one', 'none');
  const sets = new Set<string>();
  for (const { set, ratio, seed, skip, output } of options.recipes) {
    if (!(ratio > 0 && Number.isFinite(ratio))) wrong('ratio', 'a positive number', ratio);
    if (!Number.isSafeInteger(seed)) wrong('seed', 'an integer', seed);
    if (skip && output === null) wrong('skip', 'an output hook point, which makes it a transcoder', 'none');
    if (sets.has(set)) wrong('set', 'a name of its own for every recipe', `"${set}" twice`);
    sets.add(set);
  }
}

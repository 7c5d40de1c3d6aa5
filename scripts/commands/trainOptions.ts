import type { Command } from 'commander';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { HOOK_KINDS, parseHookPoint } from '../../src/domain/hookPoint.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { TRAIN_DEFAULTS, type TrainOptions } from '../../src/pipelines/trainOptions.ts';
import { count, layerList, number, seedOption } from '../options.ts';
import { oneOf, recipesOf, withSweepOptions, type SweepFlags } from './sweepOptions.ts';

/** Options of harvest that decide what text and which hook points are read. */
export interface TextOptions {
  readonly text: string[];
  readonly context: number;
  readonly tokens?: number;
  readonly layers: 'all' | number[];
  readonly hook: string;
}

export function withTextOptions(command: Command): Command {
  return command
    .requiredOption('--text <file...>', 'text to run the model on: .txt, or .jsonl with a string field "text"')
    .option('--context <tokens>', 'tokens per row (the paper takes 256)', count(2), 128)
    .option('--tokens <count>', 'tokens at most, e.g. 2M (default: the whole text)', count())
    .option('--layers <list>', 'layers to read: all, or e.g. 0,2,5 or 0-3', layerList, 'all')
    .option('--hook <kind>', `where in a layer: ${HOOK_KINDS.join(', ')}, or embed`, 'resid_post');
}

/** Options of training; all defaults but the sparsity coefficient and normalise are the paper's. */
export interface TrainFlags extends SweepFlags {
  readonly batchSize: number;
  readonly epochs: number;
  readonly maxVectors?: number;
  readonly blockVectors?: number;
  readonly heldOutVectors: number;
  readonly skipPositions: number;
  readonly normalise: 'none' | 'expected-norm';
  readonly checkpointBlocks: number;
  readonly seed: number;
  readonly trainShare: number;
}

export function withTrainOptions(command: Command): Command {
  const D = TRAIN_DEFAULTS;
  return withSweepOptions(command)
    .option('--batch-size <vectors>', 'vectors per step', count(), D.batchSize)
    .option('--epochs <passes>', 'passes over the text', count(), D.epochs)
    .option('--max-vectors <count>', 'vectors per dictionary at most (default: all)', count())
    .option('--block-vectors <count>', 'vectors mixed at a time (default: what fits 96 MiB over all hook points, at most 65536)', count())
    .option('--held-out-vectors <count>', 'vectors quality is measured on, never trained on', count(), D.heldOutVectors)
    .option('--skip-positions <count>', 'first positions of every row to leave out (the paper keeps all)', count(0), D.skipPositions)
    .option('--normalise <how>', 'none (the paper: activations as they are) or expected-norm (divided by mean norm/√D)', oneOf('none', 'expected-norm'), D.normalise)
    .option('--checkpoint-blocks <count>', 'blocks between checkpoints', count(), D.checkpointBlocks)
    .option('--train-share <0..1>', 'share of the rows to train on; the rest is for analyse', number(0.01, 1), 0.8)
    .addOption(seedOption());
}

export function trainOptionsOf(flags: TrainFlags): TrainOptions {
  const { batchSize, epochs, maxVectors, blockVectors, heldOutVectors, skipPositions, normalise, checkpointBlocks, seed } = flags;
  return { recipes: recipesOf(flags, seed), batchSize, epochs, maxVectors: maxVectors ?? null, blockVectors: blockVectors ?? null, heldOutVectors, skipPositions, normalise, checkpointBlocks, seed };
}

/** The hook points that --layers and --hook name. */
export function hookPointsOf({ layers, hook }: Pick<TextOptions, 'layers' | 'hook'>, modelLayers: number): HookPoint[] {
  if (hook === 'embed') return ['embed'];
  if (!(HOOK_KINDS as readonly string[]).includes(hook)) throw new CallerError('BAD_INPUT', `--hook ${hook}: expected embed, ${HOOK_KINDS.join(', ')}`);
  const wanted = layers === 'all' ? Array.from({ length: modelLayers }, (_, i) => i) : layers;
  return wanted.map((layer) => {
    const name = `${hook}.${layer}` as HookPoint;
    parseHookPoint(name, modelLayers);
    return name;
  });
}

import { divideBy, expectedNormScale } from '../activations/inputScale.ts';
import { layoutRows } from '../activations/rowSampler.ts';
import type { RowLayout } from '../activations/rowSampler.ts';
import { planTraining } from '../activations/shuffle.ts';
import { addSums, quality } from '../dictionary/quality.ts';
import type { QualitySums } from '../dictionary/quality.ts';
import { trainedWeights } from '../dictionary/weights.ts';
import type { DictionaryConfig, DictionaryQuality } from '../domain/dictionary.ts';
import { dictionaryName } from '../domain/address.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import { parseHookPoint } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { Rng } from '../math/rng.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { StepStats, Trainer, TrainerSpec, TrainingEngine } from '../ports/TrainingEngine.ts';
import type { ActivationSource } from './harvest.ts';
import { readCheckpoint, writeCheckpoint } from './trainCheckpoint.ts';
import type { TrainCheckpoint } from './trainCheckpoint.ts';
import { checkTrainOptions, resolveBlockVectors, TRAIN_DEFAULTS } from './trainOptions.ts';
import type { TrainOptions } from './trainOptions.ts';

export interface TrainPorts {
  readonly source: ActivationSource;
  readonly engine: TrainingEngine;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
}

export interface TrainInput {
  /** Catalog name of the model. */
  readonly model: string;
  /** Last part of the dictionaries' names; by default from architecture and ratio (see trainedName). */
  readonly set?: string;
  /** Shape of the token file. */
  readonly rows: number;
  readonly cols: number;
  /** Key of this run, written into the dictionaries. */
  readonly run: string;
  /** Folder of this run: checkpoint, metrics.jsonl and one folder per dictionary. */
  readonly dir: string;
}

export interface TrainedDictionary {
  readonly config: DictionaryConfig;
  readonly quality: DictionaryQuality;
  /** Folder below the run's. */
  readonly folder: string;
}

export interface TrainResult {
  readonly dictionaries: readonly TrainedDictionary[];
  /** Vectors each dictionary was trained on, and those of them trained by this call. */
  readonly vectors: number;
  readonly vectorsNow: number;
  readonly seconds: number;
}

/** One line of metrics.jsonl: means over the batches of a block. `fvu` is estimated with the variance of the first block. */
export interface TrainMetric {
  readonly block: number;
  readonly vectors: number;
  readonly hookPoint: HookPoint;
  readonly loss: number;
  readonly mse: number;
  readonly fvu: number;
  readonly l0: number;
}

/** A dictionary under way. */
interface Lane {
  readonly hookPoint: HookPoint;
  readonly spec: TrainerSpec;
  inputScale: number;
  variance: number;
  trainer: Trainer;
}

/** Vectors the variance estimate for progress rests on. */
const VARIANCE_SAMPLE = 4096;

/**
 * Trains one dictionary per hook point of the source, all in one pass over its activations. While a block is trained on,
 * the next is harvested, so at most two blocks are in memory. Quality is measured on rows never trained on.
 *
 * Resumable: every `checkpointBlocks` blocks all trainers and the place in the plan go into one file, and as nothing else
 * carries over between blocks, a run killed at any moment and started again ends with the same weights to the bit (on CPU).
 * Throws BAD_INPUT for options out of range, too little text, or training that diverges.
 */
export async function trainDictionaries(ports: TrainPorts, input: TrainInput, options: TrainOptions = TRAIN_DEFAULTS): Promise<TrainResult> {
  checkTrainOptions(options);
  const { source, artefacts, progress } = ports;
  const { hookPoints, dIn: D } = source;
  const started = performance.now();
  const blockVectors = resolveBlockVectors(options.blockVectors, hookPoints.length, D);
  const layout = layoutRows({ ...options, rows: input.rows, cols: input.cols, blockVectors });
  const plan = planTraining(layout, options);
  const checkpointPath = `${input.dir}/checkpoint.safetensors`;
  const metricsPath = `${input.dir}/metrics.jsonl`;

  const resume = await readCheckpoint(artefacts, checkpointPath, hookPoints);
  const firstBlock = resume?.blocks ?? 0;
  await keepMetricsBefore(artefacts, metricsPath, firstBlock);
  const lanes = await openLanes(ports.engine, source, options, resume);
  try {
    const task = progress.start(`train ${hookPoints.length} dictionaries of ${lanes[0]!.spec.nFeatures}`, plan.vectors, 'vectors');
    const vectorsBefore = plan.blocks[firstBlock]?.before ?? plan.vectors;
    if (firstBlock > 0) task.update(vectorsBefore, 'resumed');

    const readBlock = (k: number): Promise<ReadonlyMap<HookPoint, Float32Array>> => {
      const { group, vectors } = plan.blocks[k]!;
      return held(source.read(group, plan.places(k), vectors));
    };
    const trainBlock = async (k: number, block: ReadonlyMap<HookPoint, Float32Array>): Promise<void> => {
      const done = plan.blocks[k]!.before + plan.blocks[k]!.vectors;
      const metrics = await Promise.all(
        lanes.map(async (lane): Promise<TrainMetric> => {
          const vectors = block.get(lane.hookPoint)!;
          if (k === 0) measureFirstBlock(lane, vectors, options);
          divideBy(vectors, lane.inputScale);
          const stats = await lane.trainer.steps(vectors);
          checkFinite(stats, lane, plan.blocks[k]!.before, options);
          const mean = (pick: (s: StepStats) => number): number => stats.reduce((sum, s) => sum + pick(s), 0) / stats.length;
          const mse = mean((s) => s.mse);
          return { block: k, vectors: done, hookPoint: lane.hookPoint, loss: mean((s) => s.loss), mse, fvu: mse / lane.variance, l0: mean((s) => s.l0) };
        }),
      );
      await artefacts.appendRecords(metricsPath, metrics);
      if ((k + 1) % options.checkpointBlocks === 0 || k + 1 === plan.blocks.length) {
        const states = await Promise.all(lanes.map(async ({ hookPoint, inputScale, variance, trainer }) => [hookPoint, { inputScale, variance, state: await trainer.state() }] as const));
        await writeCheckpoint(artefacts, checkpointPath, { blocks: k + 1, trainers: new Map(states) });
      }
      task.update(done, note(metrics));
    };

    let training = Promise.resolve();
    let reading = firstBlock < plan.blocks.length ? readBlock(firstBlock) : null;
    for (let k = firstBlock; reading !== null; k++) {
      const block = await reading;
      await training;
      reading = k + 1 < plan.blocks.length ? readBlock(k + 1) : null;
      training = held(trainBlock(k, block));
    }
    await training;
    task.finish();

    const dictionaries = await measureAndWrite(ports, input, layout, lanes, options);
    return { dictionaries, vectors: plan.vectors, vectorsNow: plan.vectors - vectorsBefore, seconds: (performance.now() - started) / 1000 };
  } finally {
    await Promise.allSettled(lanes.map((lane) => lane.trainer.close()));
  }
}

/** Name of the dictionary at a hook point, e.g. `2-tied-r4`, or `2-mlp_out-tied-r4` away from resid_post. */
export function trainedName(hookPoint: HookPoint, { architecture, ratio }: Pick<TrainOptions, 'architecture' | 'ratio'>, set = `${architecture}-r${ratio}`): string {
  const { kind, layer } = parseHookPoint(hookPoint);
  return dictionaryName(layer, `${kind === 'resid_post' ? '' : `${kind}-`}${set}`);
}

async function openLanes(engine: TrainingEngine, source: ActivationSource, options: TrainOptions, resume: TrainCheckpoint | null): Promise<Lane[]> {
  const { dIn } = source;
  const { architecture, batchSize, l1, learningRate } = options;
  const nFeatures = Math.max(1, Math.round(options.ratio * dIn));
  return await Promise.all(
    source.hookPoints.map(async (hookPoint) => {
      const seed = Rng.derive(options.seed, 'trainer', hookPoint).uint32();
      const spec: TrainerSpec = { architecture, dIn, nFeatures, batchSize, l1, learningRate, seed };
      const saved = resume?.trainers.get(hookPoint);
      const trainer = await engine.create(spec, saved?.state);
      return { hookPoint, spec, trainer, inputScale: saved?.inputScale ?? 1, variance: saved?.variance ?? 1 };
    }),
  );
}

/** Fixes the scale for the whole of training, and the variance that progress is reported against. */
function measureFirstBlock(lane: Lane, vectors: Float32Array, options: TrainOptions): void {
  const { dIn: D } = lane.spec;
  const scale = options.normalise === 'expected-norm' ? expectedNormScale(vectors, D) : 1;
  const meter = new VarianceMeter(D);
  meter.add(vectors.subarray(0, VARIANCE_SAMPLE * D));
  const variance = meter.sumOfSquares() / (meter.count * D) / scale ** 2;
  if (!(scale > 0 && Number.isFinite(scale) && variance > 0 && Number.isFinite(variance))) {
    throw new CallerError('BAD_INPUT', `activations at ${lane.hookPoint} have mean norm over √D ${scale} and variance ${variance}; expected finite numbers above 0. The model's weights or the hook point may be wrong`);
  }
  lane.inputScale = scale;
  lane.variance = variance;
}

function checkFinite(stats: readonly StepStats[], lane: Lane, before: number, options: TrainOptions): void {
  const at = stats.findIndex(({ loss }) => !Number.isFinite(loss));
  if (at < 0) return;
  throw new CallerError(
    'BAD_INPUT',
    `training at ${lane.hookPoint} diverged: loss ${stats[at]!.loss} after ${before + at * options.batchSize} vectors; expected a finite loss. Try a lower learning rate (now ${options.learningRate})${options.normalise === 'none' ? ' or normalise expected-norm' : ''}`,
  );
}

/** Held-out quality of every dictionary, then its folder. */
async function measureAndWrite({ source, artefacts, progress }: TrainPorts, input: TrainInput, layout: RowLayout, lanes: readonly Lane[], options: TrainOptions): Promise<TrainedDictionary[]> {
  const { dIn: D } = source;
  const meters = lanes.map(() => new VarianceMeter(D));
  const sums: QualitySums[] = [];
  for (const group of layout.heldOut) {
    const read = await source.read(group, null, group.rows.length * layout.vectorsPerRow);
    await Promise.all(
      lanes.map(async (lane, i) => {
        const vectors = read.get(lane.hookPoint)!;
        divideBy(vectors, lane.inputScale);
        meters[i]!.add(vectors);
        const more = await lane.trainer.evaluate(vectors);
        sums[i] = sums[i] === undefined ? more : addSums(sums[i], more);
      }),
    );
  }
  const written: TrainedDictionary[] = [];
  for (const [i, lane] of lanes.entries()) {
    const { hookPoint, inputScale, spec } = lane;
    const measured = quality(sums[i]!, meters[i]!.sumOfSquares());
    const folder = trainedName(hookPoint, options, input.set);
    const { architecture, dIn, nFeatures, l1 } = spec;
    const weights = trainedWeights({ name: folder, model: input.model, hookPoint, architecture, dIn, nFeatures, l1, inputScale, run: input.run }, await lane.trainer.state());
    const { config } = await artefacts.writeDictionary(`${input.dir}/${folder}`, weights, measured);
    progress.say(`${folder}: fvu ${measured.fvu.toFixed(3)}, ${measured.l0.toFixed(1)} active features, ${(100 * measured.aliveShare).toFixed(0)} % alive, on ${measured.vectors} held-out vectors`);
    written.push({ config, quality: measured, folder });
  }
  return written;
}

/** Drops what a killed run logged after its last checkpoint. */
async function keepMetricsBefore(artefacts: Artefacts, path: string, block: number): Promise<void> {
  const kept: TrainMetric[] = [];
  for await (const metric of artefacts.readRecords<TrainMetric>(path, { optional: true })) if (metric.block < block) kept.push(metric);
  await artefacts.writeRecords(path, kept);
}

function note(metrics: readonly TrainMetric[]): string {
  const mean = (pick: (metric: TrainMetric) => number): number => metrics.reduce((sum, metric) => sum + pick(metric), 0) / metrics.length;
  invariant(metrics.length > 0, 'metrics of at least one dictionary');
  return `loss ${mean((m) => m.loss).toFixed(4)} fvu ${mean((m) => m.fvu).toFixed(3)} l0 ${mean((m) => m.l0).toFixed(1)}`;
}

/** The promise itself, with its failure taken up later: it is awaited, but not before other work. */
function held<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

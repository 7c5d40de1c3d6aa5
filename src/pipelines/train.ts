import { divideBy, expectedNormScale } from '../activations/inputScale.ts';
import { layoutRows } from '../activations/rowSampler.ts';
import { planTraining } from '../activations/shuffle.ts';
import type { TrainingPlan } from '../activations/shuffle.ts';
import type { DictionaryConfig, DictionaryQuality } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { geometricMedian } from '../math/geometricMedian.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { StepStats, TrainingEngine } from '../ports/TrainingEngine.ts';
import type { ReportedDictionary, TrainReport } from '../ports/TrainReport.ts';
import type { ActivationSource } from './harvest.ts';
import { readCheckpoint, readState, removeCheckpoint, writeCheckpoint } from './trainCheckpoint.ts';
import type { HookStatistics } from './trainCheckpoint.ts';
import { hookPointsRead, planLanes } from './trainLanes.ts';
import type { Lane, LanePlan } from './trainLanes.ts';
import { blockMetrics, keepMetricsBefore, progressNote } from './trainMetrics.ts';
import type { TrainMetric } from './trainMetrics.ts';
import { checkTrainOptions, resolveBlockVectors, TRAIN_DEFAULTS } from './trainOptions.ts';
import type { TrainOptions } from './trainOptions.ts';
import { measureAndWrite } from './trainResults.ts';

export interface TrainPorts {
  /** Must offer the hook points trained at and those that transcoders predict (hookPointsRead). */
  readonly source: ActivationSource;
  readonly engine: TrainingEngine;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  readonly report?: TrainReport;
}

export interface TrainInput {
  /** Catalog name of the model. */
  readonly model: string;
  /** Where to train dictionaries; all of the source's hook points when left out. */
  readonly hookPoints?: readonly HookPoint[];
  /** Shape of the token file. */
  readonly rows: number;
  readonly cols: number;
  /** Key of this run, written into the dictionaries. */
  readonly run: string;
  /** Folder of this run: checkpoints while it runs, metrics.jsonl, report.html and one folder per dictionary. */
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
  /** Dictionaries of a sweep that diverged; never all. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
  /** Vectors each dictionary was trained on, and those of them trained by this call. */
  readonly vectors: number;
  readonly vectorsNow: number;
  readonly seconds: number;
}

type Vectors = ReadonlyMap<HookPoint, Float32Array>;

/** Vectors that scale, variance and centre are estimated from. */
const SAMPLE = 4096;

/**
 * Trains every recipe at every hook point, all in one pass over the activations. While a block is trained on, the next is
 * harvested into the other of two buffers, in memory that all trainers share; so memory is two blocks, and the trainers'
 * parameters with their moments. Quality is measured on rows never trained on. Dictionaries that diverge are given up and
 * named in the result, unless all do.
 *
 * Resumable: every `checkpointBlocks` blocks all trainers' states and the place in the plan are saved, and as nothing else
 * carries over between blocks, a run killed at any moment and started again ends with the same weights to the bit (on CPU).
 * Throws BAD_INPUT for options out of range, too little text, or training that diverges.
 */
export async function trainDictionaries(ports: TrainPorts, input: TrainInput, options: TrainOptions = TRAIN_DEFAULTS): Promise<TrainResult> {
  checkTrainOptions(options);
  const { source, artefacts, progress } = ports;
  const { dIn: D } = source;
  const hookPoints = input.hookPoints ?? source.hookPoints;
  const read = hookPointsRead(hookPoints, options.recipes);
  const started = performance.now();
  const layout = layoutRows({ ...options, rows: input.rows, cols: input.cols, blockVectors: resolveBlockVectors(options.blockVectors, read.length, D) });
  const plan = planTraining(layout, options);
  const lanePlans = planLanes(hookPoints, () => D, options, plan.vectors / options.batchSize);

  const resultPath = `${input.dir}/result.json`;
  for await (const done of artefacts.readRecords<TrainResult>(resultPath, { optional: true })) return { ...done, vectorsNow: 0 };
  const training = new Training(ports, input, options, plan, lanePlans);
  await training.open();
  try {
    const vectorsNow = await training.run([sharedVectors(read, layout, D), sharedVectors(read, layout, D)], read);
    const { lanes, hooks, failures } = training;
    const dictionaries = await measureAndWrite(ports, input, layout, lanes, hooks, read);
    const result: TrainResult = { dictionaries, failures, vectors: plan.vectors, vectorsNow, seconds: (performance.now() - started) / 1000 };
    await training.report(dictionaries);
    await artefacts.writeRecords(resultPath, [result]);
    await removeCheckpoint(artefacts, input.dir);
    for (const { name, reason } of failures) progress.say(`${name}: given up: ${reason}`);
    return result;
  } finally {
    await training.close();
  }
}

/** The state of one call: lanes, what the first block fixed, and the latest metrics. */
class Training {
  readonly #ports: TrainPorts;
  readonly #input: TrainInput;
  readonly #options: TrainOptions;
  readonly #plan: TrainingPlan;
  readonly #lanePlans: readonly LanePlan[];
  readonly #latest = new Map<string, TrainMetric>();
  lanes: Lane[] = [];
  hooks: Record<string, HookStatistics> = {};
  failures: { name: string; reason: string }[] = [];
  #firstBlock = 0;
  #slot: 0 | 1 = 0;

  constructor(ports: TrainPorts, input: TrainInput, options: TrainOptions, plan: TrainingPlan, lanePlans: readonly LanePlan[]) {
    this.#ports = ports;
    this.#input = input;
    this.#options = options;
    this.#plan = plan;
    this.#lanePlans = lanePlans;
  }

  get #metricsPath(): string {
    return `${this.#input.dir}/metrics.jsonl`;
  }

  /** Picks up the checkpoint, if there is one. */
  async open(): Promise<void> {
    const { artefacts, engine } = this.#ports;
    const { dir } = this.#input;
    const checkpoint = await readCheckpoint(artefacts, dir);
    await keepMetricsBefore(artefacts, this.#metricsPath, checkpoint?.blocks ?? 0);
    if (checkpoint === null) return;
    const expected = this.#lanePlans.map(({ name }) => name);
    const found = [...checkpoint.lanes, ...checkpoint.failures.map(({ name }) => name)];
    if (found.toSorted().join() !== expected.toSorted().join()) {
      throw new CallerError('STALE_OUTPUT', `the checkpoint in ${dir} is of ${found.join(', ')}, expected ${expected.join(', ')}; delete the run's folder and train again`);
    }
    this.#firstBlock = checkpoint.blocks;
    this.#slot = checkpoint.slot === 0 ? 1 : 0;
    this.hooks = { ...checkpoint.hooks };
    this.failures = [...checkpoint.failures];
    for (const plan of this.#lanePlans) {
      if (!checkpoint.lanes.includes(plan.name)) continue;
      const state = await readState(artefacts, dir, checkpoint, plan.name);
      this.lanes.push({ ...plan, trainer: await engine.create(plan.spec, { kind: 'resume', state }) });
    }
  }

  /** All blocks that are left; returns the vectors trained on. */
  async run(buffers: readonly [Vectors, Vectors], read: readonly HookPoint[]): Promise<number> {
    const { source, progress } = this.#ports;
    const plan = this.#plan;
    const first = this.#firstBlock;
    const task = progress.start(`train ${this.#lanePlans.length} dictionaries`, plan.vectors, 'vectors');
    const before = plan.blocks[first]?.before ?? plan.vectors;
    if (first > 0) task.update(before, 'resumed');
    const readBlock = (k: number): Promise<Vectors> => {
      const { group, vectors } = plan.blocks[k]!;
      return held(source.read(group, plan.places(k), vectors, buffers[k % 2]));
    };
    let training = Promise.resolve();
    let reading = first < plan.blocks.length ? readBlock(first) : null;
    for (let k = first; reading !== null; k++) {
      const block = await reading;
      await training;
      reading = k + 1 < plan.blocks.length ? readBlock(k + 1) : null;
      training = held(
        this.#trainBlock(k, block, read).then(() => task.update(plan.blocks[k]!.before + plan.blocks[k]!.vectors, progressNote([...this.#latest.values()]))),
      );
    }
    await training;
    task.finish();
    return plan.vectors - before;
  }

  async #trainBlock(k: number, block: Vectors, read: readonly HookPoint[]): Promise<void> {
    const { artefacts } = this.#ports;
    const { blocks } = this.#plan;
    if (k === 0) for (const hook of read) this.hooks[hook] = hookStatistics(hook, block.get(hook)!, this.#ports.source.dIn, this.#options);
    for (const hook of read) divideBy(block.get(hook)!, this.hooks[hook]!.scale);
    if (k === 0) await this.#openFresh(block);

    const metrics: TrainMetric[] = [];
    await Promise.all(
      this.lanes.map(async (lane) => {
        const began = performance.now();
        const stats = await lane.trainer.steps(block.get(lane.hookPoint)!, lane.outputHookPoint === null ? undefined : block.get(lane.outputHookPoint)!);
        const reason = divergence(stats, lane, blocks[k]!.before, this.#options);
        if (reason !== null) {
          this.failures.push({ name: lane.name, reason });
          this.#latest.delete(lane.name);
          return;
        }
        const { variance } = this.hooks[lane.outputHookPoint ?? lane.hookPoint]!;
        const own = blockMetrics(
          { name: lane.name, hookPoint: lane.hookPoint, variance, batchSize: lane.spec.batchSize },
          { index: k, before: blocks[k]!.before, seconds: (performance.now() - began) / 1000 },
          stats,
        );
        this.#latest.set(lane.name, own.at(-1)!);
        metrics.push(...own);
      }),
    );
    const failed = new Set(this.failures.map(({ name }) => name));
    for (const lane of this.lanes) if (failed.has(lane.name)) await lane.trainer.close();
    this.lanes = this.lanes.filter(({ name }) => !failed.has(name));
    if (this.lanes.length === 0) throw new CallerError('BAD_INPUT', this.failures.map(({ reason }) => reason).join('; '));
    const order = this.#lanePlans.map(({ name }) => name);
    await artefacts.appendRecords(this.#metricsPath, metrics.sort((a, b) => a.vectors - b.vectors || order.indexOf(a.name) - order.indexOf(b.name)));
    if ((k + 1) % this.#options.checkpointBlocks === 0 || k + 1 === blocks.length) await this.#save(k + 1);
  }

  /** Starts trainers; the output bias starts at the geometric median of what is predicted. */
  async #openFresh(block: Vectors): Promise<void> {
    const { engine, source } = this.#ports;
    const centres = new Map<HookPoint, Float32Array>();
    for (const plan of this.#lanePlans) {
      const hook = plan.outputHookPoint ?? plan.hookPoint;
      let centre = centres.get(hook);
      if (centre === undefined) centres.set(hook, (centre = geometricMedian(block.get(hook)!.subarray(0, SAMPLE * source.dIn), source.dIn)));
      this.lanes.push({ ...plan, trainer: await engine.create(plan.spec, { kind: 'fresh', centre }) });
    }
  }

  async #save(blocks: number): Promise<void> {
    const { artefacts } = this.#ports;
    const lanes = new Map(this.lanes.map((lane) => [lane.name, lane]));
    const checkpoint = { blocks, hooks: this.hooks, lanes: [...lanes.keys()], failures: this.failures, slot: this.#slot };
    await writeCheckpoint(artefacts, this.#input.dir, checkpoint, (name) => lanes.get(name)!.trainer.state());
    this.#slot = this.#slot === 0 ? 1 : 0;
    await this.report([]);
  }

  /** Draws the curves so far; with the results when there are any. */
  async report(results: readonly TrainedDictionary[]): Promise<void> {
    const { batchSize, normalise, seed } = this.#options;
    const dictionaries = this.#lanePlans.map(({ name, spec, recipe }): ReportedDictionary => ({
      name,
      architecture: spec.architecture,
      nFeatures: spec.nFeatures,
      settings: [`R ${recipe.ratio}`, ...Object.entries(recipe.hyper).map(([key, value]) => `${key} ${String(value)}`), ...(recipe.seed === seed ? [] : [`seed ${recipe.seed}`])].join(', '),
      quality: results.find(({ folder }) => folder === name)?.quality ?? null,
      failure: this.failures.find((failure) => failure.name === name)?.reason ?? null,
    }));
    const facts = [['model', this.#input.model], ['run', this.#input.run], ['vectors per dictionary', String(this.#plan.vectors)], ['batch', String(batchSize)], ['normalisation', normalise], ['seed', String(seed)], ['engine', this.#ports.engine.name]] as const;
    await this.#ports.report?.write(`${this.#input.dir}/report.html`, { title: `Training of ${this.#lanePlans.length} dictionaries`, facts, dictionaries, metricsPath: this.#metricsPath });
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.lanes.map((lane) => lane.trainer.close()));
  }
}

/** Room for one block, or one held-out group, of every hook point, in memory that workers share. */
function sharedVectors(hooks: readonly HookPoint[], { blocks, heldOut, vectorsPerRow }: ReturnType<typeof layoutRows>, D: number): Vectors {
  const rows = [...blocks, ...heldOut].reduce((most, group) => Math.max(most, group.rows.length), 0);
  return new Map(hooks.map((hook) => [hook, new Float32Array(new SharedArrayBuffer(4 * rows * vectorsPerRow * D))]));
}

/** Fixes the scale for the whole of training, and the variance that progress is reported against. */
function hookStatistics(hook: HookPoint, vectors: Float32Array, D: number, options: TrainOptions): HookStatistics {
  const scale = options.normalise === 'expected-norm' ? expectedNormScale(vectors, D) : 1;
  const meter = new VarianceMeter(D);
  meter.add(vectors.subarray(0, SAMPLE * D));
  const variance = meter.sumOfSquares() / (meter.count * D) / scale ** 2;
  if (!(scale > 0 && Number.isFinite(scale) && variance > 0 && Number.isFinite(variance))) {
    throw new CallerError('BAD_INPUT', `activations at ${hook} have mean norm over √D ${scale} and variance ${variance}; expected finite numbers above 0. The model's weights or the hook point may be wrong`);
  }
  return { scale, variance };
}

/** Why a lane cannot go on; null when it can. */
function divergence(stats: readonly StepStats[], { hookPoint, name, spec }: Lane, before: number, options: TrainOptions): string | null {
  invariant(stats.length > 0, 'a block has steps');
  const at = stats.findIndex(({ loss }) => !Number.isFinite(loss));
  if (at < 0) return null;
  return `training ${name} at ${hookPoint} diverged: loss ${stats[at]!.loss} after ${before + at * options.batchSize} vectors; expected a finite loss. Try a lower learning rate (now ${spec.hyper.learningRate})${options.normalise === 'none' ? ' or normalise expected-norm' : ''}`;
}

/** The promise itself, with its failure taken up later: it is awaited, but not before other work. */
function held<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

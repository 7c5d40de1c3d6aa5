import { divideBy } from '../activations/inputScale.ts';
import type { TrainingPlan } from '../activations/shuffle.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { geometricMedian } from '../math/geometricMedian.ts';
import type { StepStats } from '../ports/TrainingEngine.ts';
import type { ReportedDictionary } from '../ports/TrainReport.ts';
import { hookStatistics, STATISTICS_SAMPLE } from './hookStatistics.ts';
import type { HookStatistics } from './hookStatistics.ts';
import { readCheckpoint, readState, writeCheckpoint } from './trainCheckpoint.ts';
import type { TrainInput, TrainPorts, TrainedDictionary } from './trainContract.ts';
import type { Lane, LanePlan } from './trainLanes.ts';
import { blockMetrics, keepMetricsBefore, progressNote } from './trainMetrics.ts';
import type { TrainMetric } from './trainMetrics.ts';
import type { TrainOptions } from './trainOptions.ts';

/** Vectors of a block by hook point. */
export type Vectors = ReadonlyMap<HookPoint, Float32Array>;

/** The state of one call: lanes, what the first block fixed, and the latest metrics. */
export class TrainingRun {
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
    if (k === 0) for (const hook of read) this.hooks[hook] = hookStatistics(hook, block.get(hook)!, this.#ports.source.dIn, this.#options.normalise);
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
      if (centre === undefined) centres.set(hook, (centre = geometricMedian(block.get(hook)!.subarray(0, STATISTICS_SAMPLE * source.dIn), source.dIn)));
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

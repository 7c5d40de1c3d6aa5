import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { TrainableArchitecture, TrainingState } from '../../src/dictionary/architecture.ts';
import { multiStepGraph } from '../../src/dictionary/multiStep.ts';
import type { TrainerSpec } from '../../src/domain/training.ts';

export interface Stats {
  readonly loss: number;
  readonly mse: number;
  readonly l0: number;
  readonly dead: number;
}

export interface Steps {
  readonly state: TrainingState;
  readonly stats: readonly Stats[];
}

export interface RunOptions {
  readonly y?: Float32Array;
  /** Steps in one run of a multi-step graph; 0 = the step graph itself. */
  readonly stepsARun?: number;
  /** In place of the architecture's. */
  readonly scalars?: (spec: TrainerSpec, step: number) => Readonly<Record<string, number>>;
}

/** Takes the steps of x [n·B, D] on onnxruntime's CPU provider with one thread, nothing between the graph and the test. */
export async function runSteps(architecture: TrainableArchitecture, spec: TrainerSpec, start: TrainingState, x: Float32Array, options: RunOptions = {}): Promise<Steps> {
  const { batchSize: B, dIn: D, dOut } = spec;
  const { y, stepsARun = 0, scalars = architecture.scalars } = options;
  const S = Math.max(1, stepsARun);
  const { bytes, stateNames } = stepsARun === 0 ? architecture.stepGraph(spec) : multiStepGraph(architecture, spec, S);
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3, extra: { session: { set_denormal_as_zero: '1' } } });
  const state = new Map(start);
  const stats: Stats[] = [];
  const dims = (...shape: number[]): number[] => (stepsARun === 0 ? shape : [S, ...shape]);
  for (let at = 0; at < x.length / (B * D); at += S) {
    const first = state.get('step')!.data[0]! + 1;
    const feeds: Record<string, Tensor> = { x: new Tensor('float32', x.subarray(at * B * D, (at + S) * B * D), dims(B, D)) };
    if (y !== undefined) feeds['y'] = new Tensor('float32', y.subarray(at * B * dOut, (at + S) * B * dOut), dims(B, dOut));
    const rows = Array.from({ length: S }, (_, i) => scalars(spec, first + i));
    for (const name of Object.keys(rows[0]!)) feeds[name] = new Tensor('float32', Float32Array.from(rows, (row) => row[name]!), dims(1));
    for (const name of stateNames) feeds[name] = new Tensor('float32', state.get(name)!.data, state.get(name)!.shape);
    const out = await session.run(feeds);
    for (const name of stateNames) state.set(name, { shape: state.get(name)!.shape, data: out[`next.${name}`]!.data as Float32Array });
    state.set('step', { shape: [1], data: Float32Array.of(first + S - 1) });
    const of = (name: string, i: number): number => (out[name]!.data as Float32Array)[i]!;
    for (let i = 0; i < S; i++) stats.push({ loss: of('loss', i), mse: of('mse', i), l0: of('l0', i), dead: of('dead', i) });
  }
  await session.release();
  return { state, stats };
}

/** Largest difference, relative to the largest expected value; equal zeros are 0 apart. */
export function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) throw new Error(`${found.length} values, expected ${expected.length}`);
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < found.length; i++) {
    const difference = Math.abs(found[i]! - expected[i]!);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return worst === 0 ? 0 : worst / scale;
}

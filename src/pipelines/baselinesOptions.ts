import { ICA_DEFAULTS } from '../baselines/ica.ts';
import { NMF_DEFAULTS } from '../baselines/nmf.ts';
import { BASELINE_ARCHITECTURES } from '../domain/dictionary.ts';
import type { BaselineArchitecture } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { trainedName } from './trainLanes.ts';

/** Options of the baselines stage; all of them are part of the run's identity. */
export interface BaselineOptions {
  readonly kinds: readonly BaselineArchitecture[];
  /** Besides each plain dictionary, variants that keep the k largest codes of a vector. */
  readonly topK: readonly number[];
  /** Random directions per dimension. */
  readonly ratio: number;
  /** Vectors per hook point to stop after (in whole blocks); null = all of them. */
  readonly maxVectors: number | null;
  /** Vectors read at a time, per hook point; null = as many as fit BLOCK_BYTES. */
  readonly blockVectors: number | null;
  /** Vectors quality is measured on, never fitted to; with the seed and positions of a training they are the same rows. */
  readonly heldOutVectors: number;
  /** First positions of every row left out. */
  readonly skipPositions: number;
  /** Vectors ICA is fitted to, spread evenly over all that are read; cut to what fits SAMPLE_BYTES. */
  readonly sampleVectors: number;
  readonly ica: { readonly maxIterations: number; readonly tolerance: number };
  /** NMF takes `sampleVectors` of those, evenly spaced: an iteration is four times the work of ICA's, and holds a code for every vector and feature. */
  readonly nmf: { readonly maxIterations: number; readonly tolerance: number; readonly sampleVectors: number };
  readonly seed: number;
}

export const BASELINE_DEFAULTS: BaselineOptions = {
  kinds: BASELINE_ARCHITECTURES,
  topK: [],
  ratio: 1,
  maxVectors: null,
  blockVectors: null,
  heldOutVectors: 16_384,
  skipPositions: 0,
  sampleVectors: 131_072,
  ica: ICA_DEFAULTS,
  nmf: { ...NMF_DEFAULTS, sampleVectors: 32_768 },
  seed: 0,
};

/** Memory the samples may take over all hook points together, in bytes. */
export const SAMPLE_BYTES = 2 ** 30;

/** One dictionary to make. */
export interface PlannedBaseline {
  /** Also its folder below the run's. */
  readonly name: string;
  readonly kind: BaselineArchitecture;
  readonly hookPoint: HookPoint;
  readonly k: number | null;
}

/** Last part of the dictionaries' names: `pca`, `random-r2`, `ica-k32`. */
export function baselineSet(kind: BaselineArchitecture, ratio: number, k: number | null): string {
  return `${kind}${kind === 'random' ? `-r${ratio}` : ''}${k === null ? '' : `-k${k}`}`;
}

/** Every dictionary that the options ask for, hook point by hook point. Throws BAD_INPUT for options out of range. */
export function planBaselines(options: BaselineOptions, hookPoints: readonly HookPoint[], D: number): PlannedBaseline[] {
  check(options, D);
  return hookPoints.flatMap((hookPoint) =>
    [...new Set(options.kinds)].flatMap((kind) =>
      [null, ...new Set(options.topK)].map((k) => ({ name: trainedName(hookPoint, { set: baselineSet(kind, options.ratio, k), output: null }), kind, hookPoint, k })),
    ),
  );
}

function check(options: BaselineOptions, D: number): void {
  const wrong = (name: string, expected: string, found: unknown): never => {
    throw new CallerError('BAD_INPUT', `${name}: expected ${expected}, found ${String(found)}`);
  };
  if (options.kinds.length === 0) wrong('kinds', `some of ${BASELINE_ARCHITECTURES.join(', ')}`, 'none');
  for (const name of ['heldOutVectors', 'sampleVectors'] as const) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) wrong(name, 'a positive integer', options[name]);
  }
  for (const name of ['maxVectors', 'blockVectors'] as const) {
    const value = options[name];
    if (value !== null && (!Number.isSafeInteger(value) || value < 1)) wrong(name, 'a positive integer or null', value);
  }
  if (!Number.isSafeInteger(options.skipPositions) || options.skipPositions < 0) wrong('skipPositions', 'an integer from 0', options.skipPositions);
  if (!Number.isSafeInteger(options.seed)) wrong('seed', 'an integer', options.seed);
  if (!(options.ratio > 0 && Number.isFinite(options.ratio))) wrong('ratio', 'a positive number', options.ratio);
  for (const kind of ['ica', 'nmf'] as const) {
    const { maxIterations, tolerance } = options[kind];
    if (!Number.isSafeInteger(maxIterations) || maxIterations < 1) wrong(`${kind} iterations`, 'a positive integer', maxIterations);
    if (!(tolerance >= 0)) wrong(`${kind} tolerance`, 'a number from 0', tolerance);
  }
  if (!Number.isSafeInteger(options.nmf.sampleVectors) || options.nmf.sampleVectors < 1) wrong('nmf sampleVectors', 'a positive integer', options.nmf.sampleVectors);
  const most = options.kinds.includes('random') ? Math.min(D, 2 * randomFeatures(options.ratio, D)) : D;
  for (const k of options.topK) if (!Number.isSafeInteger(k) || k < 1 || k > most) wrong('top-k', `1 to ${most}`, k);
}

/** F of the plain random dictionary. */
export function randomFeatures(ratio: number, D: number): number {
  return Math.max(1, Math.round(ratio * D));
}

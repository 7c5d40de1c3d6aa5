import { layoutRows } from '../activations/rowSampler.ts';
import type { RowLayout } from '../activations/rowSampler.ts';
import type { DictionaryParameters } from '../dictionary/architecture.ts';
import type { Kernels } from '../baselines/kernels.ts';
import { addSums, quality } from '../dictionary/quality.ts';
import type { QualitySums } from '../dictionary/quality.ts';
import type { DictionaryQuality, DictionaryWeights } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { DictionaryReader } from '../ports/DictionaryReader.ts';
import type { Progress } from '../ports/Progress.ts';
import { baselineFitter, NEEDS } from './baselinesFit.ts';
import type { BaselineFit } from './baselinesFit.ts';
import { BASELINE_DEFAULTS, planBaselines } from './baselinesOptions.ts';
import type { BaselineOptions, PlannedBaseline } from './baselinesOptions.ts';
import { fitPass } from './baselinesPass.ts';
import type { ActivationSource } from './harvest.ts';
import { resolveBlockVectors } from './trainOptions.ts';

export interface BaselinePorts {
  readonly source: ActivationSource;
  /** See graphKernels. */
  readonly kernels: Kernels;
  readonly reader: DictionaryReader;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
}

export interface BaselineInput {
  /** Catalog name of the model. */
  readonly model: string;
  /** Shape of the token file. */
  readonly rows: number;
  readonly cols: number;
  /** Key of this run, written into the dictionaries. */
  readonly run: string;
  /** Folder of this run: fitted.ndjson and one folder per dictionary. */
  readonly dir: string;
}

/** One line of fitted.ndjson, written after the dictionary's folder. */
export interface FittedBaseline extends PlannedBaseline {
  readonly quality: DictionaryQuality;
  readonly fit: BaselineFit['facts'];
}

/**
 * Fits decompositions to compare trained dictionaries with, at every hook point of the source: one pass over the
 * activations for covariances and samples, then fit by fit. Each becomes a dictionary like any other, with its quality on
 * held-out rows.
 *
 * Resumable: dictionaries written before a kill are kept; the pass is done again for the others, with the same result to
 * the bit. Throws BAD_INPUT for options out of range, too little text, or activations that are not finite.
 */
export async function fitBaselines(ports: BaselinePorts, input: BaselineInput, options: BaselineOptions = BASELINE_DEFAULTS): Promise<readonly FittedBaseline[]> {
  const { source, artefacts } = ports;
  const { hookPoints, dIn: D } = source;
  const planned = planBaselines(options, hookPoints, D);
  const layout = layoutRows({ ...options, rows: input.rows, cols: input.cols, blockVectors: resolveBlockVectors(options.blockVectors, hookPoints.length, D) });
  const log = `${input.dir}/fitted.ndjson`;
  const done = new Map<string, FittedBaseline>();
  for await (const record of artefacts.readRecords<FittedBaseline>(log, { optional: true })) done.set(record.name, record);

  const open = planned.filter(({ name }) => !done.has(name));
  if (open.length > 0) {
    const heldOut = await readHeldOut(source, layout);
    const needs = { covariance: open.some(({ kind }) => NEEDS[kind].covariance), sample: open.some(({ kind }) => NEEDS[kind].sample) };
    const left = hookPoints.filter((hookPoint) => open.some((each) => each.hookPoint === hookPoint));
    const pass = needs.covariance || needs.sample ? await fitPass(ports, layout, left, needs, options) : null;
    for (const hookPoint of left) {
      const fitter = baselineFitter(ports, hookPoint, D, pass?.get(hookPoint) ?? null, options);
      for (const kind of options.kinds) {
        const mine = open.filter((each) => each.hookPoint === hookPoint && each.kind === kind && !done.has(each.name));
        if (mine.length === 0) continue;
        const fit = await fitter(kind);
        for (const each of mine) {
          const weights = weightsOf(each, fit.parameters(each.k), D, input);
          const fitted = { ...each, quality: await measureAndWrite(ports, input.dir, weights, heldOut.get(hookPoint)!), fit: fit.facts };
          await artefacts.appendRecords(log, [fitted]);
          done.set(each.name, fitted);
          // Said once it is kept: who stops the command after this line loses nothing of it.
          ports.progress.say(qualityLine(each.name, fitted.quality));
        }
      }
    }
  }
  return planned.map(({ name }) => done.get(name)!);
}

function qualityLine(name: string, { fvu, l0, aliveShare, vectors }: DictionaryQuality): string {
  return `${name}: fvu ${fvu.toFixed(3)}, ${l0.toFixed(1)} active features, ${(100 * aliveShare).toFixed(0)} % alive, on ${vectors} held-out vectors`;
}

/** Baselines read activations as they are: no scale. */
function weightsOf({ name, kind, hookPoint }: PlannedBaseline, { k, ...arrays }: DictionaryParameters, D: number, { model, run }: BaselineInput): DictionaryWeights {
  const nFeatures = arrays.encoderBias.length;
  return { config: { formatVersion: 1, name, model, hookPoint, outputHookPoint: null, architecture: kind, dIn: D, dOut: D, nFeatures, k, l1: null, inputScale: 1, outputScale: 1, weightsHash: '', run }, ...arrays };
}

/** The held-out vectors of every hook point, group by group; all are kept, for every dictionary reads them. */
async function readHeldOut(source: ActivationSource, layout: RowLayout): Promise<ReadonlyMap<HookPoint, readonly Float32Array[]>> {
  const groups = new Map(source.hookPoints.map((hookPoint): [HookPoint, Float32Array[]] => [hookPoint, []]));
  for (const group of layout.heldOut) {
    const read = await source.read(group, null, group.rows.length * layout.vectorsPerRow);
    for (const [hookPoint, list] of groups) list.push(read.get(hookPoint)!);
  }
  return groups;
}

async function measureAndWrite({ reader, artefacts }: BaselinePorts, dir: string, weights: DictionaryWeights, heldOut: readonly Float32Array[]): Promise<DictionaryQuality> {
  const { name, dIn } = weights.config;
  const meter = new VarianceMeter(dIn);
  let sums: QualitySums | undefined;
  const dictionary = await reader.open(weights);
  try {
    for (const vectors of heldOut) {
      meter.add(vectors);
      const more = await dictionary.read(vectors);
      sums = sums === undefined ? more : addSums(sums, more);
    }
  } finally {
    await dictionary.close();
  }
  const measured = quality(sums!, meter.sumOfSquares());
  await artefacts.writeDictionary(`${dir}/${name}`, weights, measured);
  return measured;
}

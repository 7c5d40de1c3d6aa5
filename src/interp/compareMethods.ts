import { Rng } from '../math/rng.ts';
import type { Interval } from './bootstrap.ts';
import { differenceInterval } from './differenceInterval.ts';
import { instrumentFacts, instrumentPlace } from './instruments.ts';
import { meanInterval, type MeanInterval } from './meanInterval.ts';
import { NOT_SCORED, type InstrumentScores, type MethodScores } from './methodScores.ts';
import { percentileInterval, resampledMeans, stratifiedMeans } from './sampleMeans.ts';

/**
 * Which features a mean is over: `scored` those with a defined score, as the paper; `asked` all that were asked for, those
 * without a score counted as the instrument's chance level (0 for a correlation). Hard features are the ones that get skipped,
 * so the first alone flatters who skips more.
 */
export const BASES = ['scored', 'asked'] as const;
export type Basis = (typeof BASES)[number];

/** A mean with two 95 % intervals: 1.96·sd/√n about it (the paper's bars), and a bootstrap over features. */
export interface Estimate extends MeanInterval {
  readonly bootstrap: Interval | null;
}

export interface MethodEstimate {
  /** Null: the mean of the layers' means, each layer of equal weight. */
  readonly layer: number | null;
  readonly method: string;
  readonly asked: number;
  readonly explained: number;
  readonly of: Readonly<Record<Basis, Estimate>>;
}

/** Mean of the reference minus mean of the other method. */
export interface MethodDifference {
  /** Null: over the layers that both have, each of equal weight. */
  readonly layer: number | null;
  readonly other: string;
  readonly basis: Basis;
  readonly value: number;
  /** 95 % bootstrap interval of the difference. */
  readonly interval: Interval;
  /** True when the two methods' own 95 % intervals share no point, neither the paper's nor the bootstrap ones. */
  readonly apart: boolean;
}

/** Everything about one instrument in the hands of one judge; never pooled with another's. */
export interface InstrumentComparison {
  readonly scorer: string;
  readonly judge: string;
  readonly promptVersion: string | null;
  /** Scores by method and layer, as they came. */
  readonly scores: readonly { readonly layer: number; readonly method: string; readonly values: readonly (number | null)[]; readonly undefined: Readonly<Record<string, number>> }[];
  readonly estimates: readonly MethodEstimate[];
  readonly differences: readonly MethodDifference[];
}

/**
 * Sets methods against a reference, instrument by instrument and layer by layer.
 * @param all one entry per method and layer; layers with one method only still get its estimate.
 * @param reference the method that differences are taken of.
 */
export function compareMethods(all: readonly MethodScores[], reference: string, seed: number): readonly InstrumentComparison[] {
  const keys = new Map<string, Pick<InstrumentScores, 'scorer' | 'judge' | 'promptVersion'>>();
  for (const { instruments } of all) for (const { scorer, judge, promptVersion } of instruments) keys.set(JSON.stringify([scorer, judge, promptVersion]), { scorer, judge, promptVersion });
  return [...keys.values()].sort((a, b) => instrumentPlace(a.scorer) - instrumentPlace(b.scorer)).map((key) => compareOne(key, all, reference, seed));
}

/** A mean of some sample, with the replicates its intervals come from. */
interface Measured {
  readonly estimate: Estimate;
  readonly replicates: Float64Array;
}

/** One method in one layer (or over layers), in the eyes of one instrument. */
interface Sample {
  readonly layer: number | null;
  readonly method: string;
  readonly asked: number;
  readonly explained: number;
  readonly of: Readonly<Record<Basis, Measured>>;
}

type Instrument = Pick<InstrumentScores, 'scorer' | 'judge' | 'promptVersion'>;

function compareOne(instrument: Instrument, all: readonly MethodScores[], reference: string, seed: number): InstrumentComparison {
  const { chance } = instrumentFacts(instrument.scorer);
  const scores = all.map((one) => scoresOf(one, instrument));
  // A method's draws are of its own stream: they do not depend on which others it is compared with.
  const samples: Sample[] = all.map(({ layer, method, asked, explained }, i) => {
    const { values } = scores[i];
    const measured = (basis: Basis, sample: readonly number[]): Measured => measure(sample, Rng.derive(seed, 'compare', instrument.scorer, instrument.judge, method, layer, basis));
    return { layer, method, asked, explained, of: { scored: measured('scored', values.filter((value) => value !== null)), asked: measured('asked', values.map((value) => value ?? chance)) } };
  });
  const methods = [...new Set(all.map(({ method }) => method))];
  const ofMethod = (method: string): Sample[] => samples.filter((sample) => sample.method === method);
  const references = new Map(ofMethod(reference).map((sample) => [sample.layer, sample]));
  const differences = methods.filter((method) => method !== reference).flatMap((method) => {
    const pairs = ofMethod(method).flatMap((b) => (references.has(b.layer) ? [[references.get(b.layer)!, b] as const] : []));
    if (pairs.length > 1) pairs.push([overLayers(pairs.map(([a]) => a)), overLayers(pairs.map(([, b]) => b))]);
    return BASES.flatMap((basis) => pairs.flatMap(([a, b]) => difference(a, b, basis)));
  });
  const totals = methods.map(ofMethod).filter(({ length }) => length > 1).map(overLayers);
  const estimates = [...samples, ...totals].map(({ of, ...sample }) => ({ ...sample, of: { scored: of.scored.estimate, asked: of.asked.estimate } }));
  return { ...instrument, scores, estimates, differences };
}

function scoresOf({ layer, method, asked, explained, instruments }: MethodScores, { scorer, judge, promptVersion }: Instrument): InstrumentComparison['scores'][number] {
  const found = instruments.find((one) => one.scorer === scorer && one.judge === judge && one.promptVersion === promptVersion);
  if (found !== undefined) return { layer, method, values: found.values, undefined: found.undefined };
  return { layer, method, values: Array.from({ length: asked }, () => null), undefined: explained > 0 ? { [NOT_SCORED]: explained } : {} };
}

function measure(values: readonly number[], rng: Rng): Measured {
  const replicates = resampledMeans(values, rng);
  return { estimate: { ...meanInterval(values), bootstrap: percentileInterval(replicates) }, replicates };
}

/** The mean of a method's means in several layers, which are independent samples. */
function overLayers(samples: readonly Sample[]): Sample {
  const sum = (of: (sample: Sample) => number): number => samples.reduce((total, sample) => total + of(sample), 0);
  const measured = (basis: Basis): Measured => {
    const layers = samples.map(({ of }) => of[basis]);
    const replicates = stratifiedMeans(layers.map((layer) => layer.replicates));
    return { estimate: { ...meanOfMeans(layers.map((layer) => layer.estimate)), bootstrap: percentileInterval(replicates) }, replicates };
  };
  return { layer: null, method: samples[0].method, asked: sum(({ asked }) => asked), explained: sum(({ explained }) => explained), of: { scored: measured('scored'), asked: measured('asked') } };
}

/** The variance of a mean of L independent means is the sum of their variances, divided by L². */
function meanOfMeans(means: readonly MeanInterval[]): MeanInterval {
  const n = means.reduce((sum, one) => sum + one.n, 0);
  const mean = means.every((one) => one.mean !== null) ? means.reduce((sum, one) => sum + one.mean!, 0) / means.length : null;
  const halfWidth = means.every((one) => one.halfWidth !== null) ? Math.hypot(...means.map((one) => one.halfWidth!)) / means.length : null;
  return { n, mean, halfWidth };
}

/** Nothing where one side has no mean. */
function difference(a: Sample, b: Sample, basis: Basis): MethodDifference[] {
  const [left, right] = [a.of[basis], b.of[basis]];
  const interval = differenceInterval(left.replicates, right.replicates);
  if (interval === null || left.estimate.mean === null || right.estimate.mean === null) return [];
  const apart = separate(barOf(left.estimate), barOf(right.estimate)) && separate(left.estimate.bootstrap, right.estimate.bootstrap);
  return [{ layer: a.layer, other: b.method, basis, value: left.estimate.mean - right.estimate.mean, interval, apart }];
}

function barOf({ mean, halfWidth }: MeanInterval): Interval | null {
  return mean === null || halfWidth === null ? null : { low: mean - halfWidth, high: mean + halfWidth };
}

/** An interval that is not known is apart from nothing. */
function separate(a: Interval | null, b: Interval | null): boolean {
  return a !== null && b !== null && (a.low > b.high || b.low > a.high);
}

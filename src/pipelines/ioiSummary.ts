import { Bootstrap } from '../interp/bootstrap.ts';
import type { IoiCurve, IoiEstimate, IoiOrdering, IoiPoint } from '../ports/IoiReport.ts';
import type { IoiDictionary, IoiStep } from './ioi.ts';

export interface MeasuredCurve {
  readonly dictionary: IoiDictionary;
  readonly ordering: IoiOrdering;
  readonly units: number;
  readonly active: number;
  readonly steps: readonly IoiStep[];
}

/** Shares of the unpatched KL that the number of patches is given for. */
const SHARES = [0.5, 0.25, 0.1];
const RESAMPLES = 400;
/** What others are compared with. */
const REFERENCES = ['pca', 'pca-nonneg'];

/** One set: the mean over prompts of what it gives, and of each prompt. */
interface Measured extends Omit<IoiPoint, 'kl'> {
  readonly perPrompt: readonly number[];
}

/** Curves with what is read off them, and intervals by bootstrap over prompts (percentiles; the same draws for all curves). */
export function ioiCurves(measured: readonly MeasuredCurve[], unpatched: readonly number[], { prompts, seconds, seed }: { readonly prompts: number; readonly seconds: number; readonly seed: number }): IoiCurve[] {
  const bootstrap = new Bootstrap(seed, RESAMPLES);
  const once = new Uint16Array(prompts).fill(1);
  const estimate = (statistic: (times: ArrayLike<number>, from: number) => number): IoiEstimate => {
    const value = statistic(once, 0);
    return { value: Number.isNaN(value) ? null : value, interval: Number.isNaN(value) ? null : bootstrap.intervalOf([prompts], statistic) };
  };
  const curves = measured.map((curve) => ({ ...curve, sets: setsOf(curve.steps, unpatched) }));
  const alike = (a: MeasuredCurve, b: MeasuredCurve): boolean => a.dictionary.layer === b.dictionary.layer && a.ordering === b.ordering;
  return curves.map((curve): IoiCurve => {
    const { dictionary: { method, layer, weights }, ordering, units, active, steps, sets } = curve; // prettier-ignore
    const live = curves.flatMap((other) => (other.dictionary.layer === layer && other.active > 0 ? [other.active] : []));
    const areaTo = live.length === 0 ? 1 : Math.min(...live);
    const areaOf = (of: readonly Measured[]) => (times: ArrayLike<number>, from: number) => area(of, areaTo, times, from);
    const cost = steps.reduce((sum, { cost: one }) => ({ sets: sum.sets + one.sets, runs: sum.runs + one.runs, rows: sum.rows + one.rows, seconds: sum.seconds + one.seconds }), { sets: 0, runs: 0, rows: 0, seconds: 0 });
    // Whoever does not look first which units change anything tries each of them once, or adds each once.
    const plainRuns = cost.sets + units - active;
    return {
      layer, method, ordering, dictionary: weights.config.name, weightsHash: weights.config.weightsHash, l1: weights.config.l1, units, active,
      points: sets.map(({ perPrompt, ...point }) => ({ ...point, kl: perPrompt.reduce((sum, kl) => sum + kl, 0) / prompts })),
      levels: SHARES.map((share) => ({
        share,
        patched: estimate((times, from) => sets[reaching(sets, share, times, from)]?.patched ?? NaN),
        magnitude: estimate((times, from) => sets[reaching(sets, share, times, from)]?.magnitude ?? NaN),
      })),
      area: estimate(areaOf(sets)),
      areaTo,
      against: curves.flatMap((other) => {
        const name = other.dictionary.method;
        if (name === method || !REFERENCES.includes(name) || !alike(other, curve)) return [];
        const [own, its] = [areaOf(sets), areaOf(other.sets)];
        return [{ method: name, area: estimate((times, from) => own(times, from) - its(times, from)) }];
      }),
      cost: { ...cost, plain: { runs: plainRuns, rows: plainRuns * prompts, seconds: plainRuns * seconds } },
    }; // prettier-ignore
  });
}

/** From nothing to all, ascending; of sets of one size the one of the lowest threshold. */
function setsOf(steps: readonly IoiStep[], unpatched: readonly number[]): Measured[] {
  const bySize = new Map<number, Measured>([[0, { patched: 0, magnitude: 0, tau: null, perPrompt: unpatched }]]);
  for (const { patched, magnitude, tau, perPrompt } of steps) if (!bySize.has(patched)) bySize.set(patched, { patched, magnitude, tau, perPrompt });
  return [...bySize.values()].sort((a, b) => a.patched - b.patched);
}

/** Σ over prompts, each counted so many times. */
function total({ perPrompt }: Measured, times: ArrayLike<number>, from: number): number {
  let sum = 0;
  for (let p = 0; p < perPrompt.length; p++) sum += times[from + p] * perPrompt[p];
  return sum;
}

/** Place of the smallest set with at most this share of the unpatched KL; -1 when none has. */
function reaching(sets: readonly Measured[], share: number, times: ArrayLike<number>, from: number): number {
  const level = share * total(sets[0], times, from);
  return sets.findIndex((set) => total(set, times, from) <= level);
}

/** Mean of KL / unpatched KL over 0 … `to` patches, straight between the sets measured; beyond the last there is nothing more to patch. */
function area(sets: readonly Measured[], to: number, times: ArrayLike<number>, from: number): number {
  const first = total(sets[0], times, from);
  if (!(first > 0)) return NaN;
  let [sum, last] = [0, 1];
  for (let i = 1; i < sets.length && sets[i - 1].patched < to; i++) {
    const next = total(sets[i], times, from) / first;
    const [left, right] = [sets[i - 1].patched, sets[i].patched];
    const end = Math.min(right, to);
    const atEnd = last + ((next - last) * (end - left)) / (right - left);
    sum += ((last + atEnd) / 2) * (end - left);
    last = next;
  }
  return (sum + last * Math.max(0, to - sets[sets.length - 1].patched)) / to;
}


import type { Interval } from './bootstrap.ts';
import type { Basis, InstrumentComparison, MethodDifference } from './compareMethods.ts';

/**
 * What the numbers say about the reference, a sentence or two for every other method; each word follows from a difference and
 * from whether intervals overlap. `basis`: see Basis.
 */
export function verdicts({ estimates, differences }: InstrumentComparison, reference: string, basis: Basis): string[] {
  const others = [...new Set(differences.map(({ other }) => other))];
  return others.map((other) => {
    const found = differences.filter((one) => one.other === other && one.basis === basis);
    const layers = found.filter(({ layer }) => layer !== null);
    const total = found.find(({ layer }) => layer === null) ?? layers[0];
    if (total === undefined) return `${reference} against ${other}: no layer where both have a score.`;
    const meanOf = (method: string): string => {
      const shared = new Set(layers.map(({ layer }) => layer));
      const own = estimates.filter((one) => one.method === method && one.layer !== null && shared.has(one.layer)).map(({ of }) => of[basis].mean!);
      return show(own.reduce((sum, mean) => sum + mean, 0) / own.length);
    };
    const where = layers.length === 1 ? `in layer ${layers[0].layer}` : `mean of ${layers.length} layers`;
    const groups = GROUPS.flatMap(({ of, words }) => {
      const members = layers.filter(of);
      return members.length === 0 ? [] : [`${words}: ${members.length === 1 ? 'layer' : 'layers'} ${members.map(({ layer }) => layer).join(', ')}.`];
    });
    return [`${reference} against ${other}: ${meanOf(reference)} against ${meanOf(other)} (${where}), difference ${show(total.value)} ${span(total.interval)}.`, ...groups].join(' ');
  });
}

const GROUPS: readonly { readonly of: (difference: MethodDifference) => boolean; readonly words: string }[] = [
  { of: ({ apart, value }) => apart && value > 0, words: 'Higher, and the 95 % intervals do not overlap' },
  { of: ({ apart, value, interval }) => !apart && value > 0 && interval.low > 0, words: 'Higher (the interval of the difference is above 0), though the 95 % intervals overlap' },
  { of: ({ apart, interval }) => !apart && interval.low <= 0 && interval.high >= 0, words: 'No difference that could be told from chance' },
  { of: ({ apart, value, interval }) => !apart && value < 0 && interval.high < 0, words: 'Lower (the interval of the difference is below 0), though the 95 % intervals overlap' },
  { of: ({ apart, value }) => apart && value < 0, words: 'Lower, and the 95 % intervals do not overlap' },
];

/** Whether the reference is above every one of `others` in every layer with intervals apart, and if not, where not; null where nothing was compared. */
export function clearAnswer({ estimates, differences }: InstrumentComparison, reference: string, others: readonly string[], basis: Basis): string | null {
  if (!differences.some(({ other }) => others.includes(other))) return null;
  const layers = estimates.flatMap(({ layer, method }) => (method === reference && layer !== null ? [layer] : []));
  const failing = new Set<number>();
  const against = others.flatMap((other) => {
    const fails = layers.flatMap((layer) => {
      const found = differences.find((one) => one.other === other && one.layer === layer && one.basis === basis);
      if (found !== undefined && found.apart && found.value > 0) return [];
      failing.add(layer);
      return [`layer ${layer} (${found === undefined ? 'nothing to compare' : `difference ${show(found.value)} ${span(found.interval)}`})`];
    });
    return fails.length === 0 ? [] : [`Not against ${other} in ${fails.join(', ')}.`];
  });
  const question = `Does ${reference} score above ${others.join(' and ')} in every layer, with 95 % intervals that do not overlap?`;
  if (against.length === 0) return `${question} Yes.`;
  const holds = layers.filter((layer) => !failing.has(layer));
  return [question, 'No.', ...(holds.length === 0 ? [] : [`It does in ${holds.length === 1 ? 'layer' : 'layers'} ${holds.join(', ')}.`]), ...against].join(' ');
}

/** What the control says: the same recipe on random weights is what a score must be held against (Heap et al. 2025). */
export function controlAnswer({ differences }: InstrumentComparison, reference: string, control: string, basis: Basis): string | null {
  const of = differences.filter(({ other, basis: own }) => other === control && own === basis);
  const total = of.find(({ layer }) => layer === null) ?? of[0];
  if (total === undefined) return null;
  const { interval } = total;
  if (interval.low > 0) return `${reference} of the trained model scores above the same recipe on random weights by ${show(total.value)} ${span(interval)}: so much of its score is owed to the model's training.`;
  const words = interval.high < 0 ? `below the same recipe on random weights (difference ${show(total.value)} ${span(interval)})` : `no different from the same recipe on random weights (difference ${show(total.value)} ${span(interval)})`;
  return `${reference} of the trained model scores ${words}: a high score alone is no sign of anything the model has learnt, as a dictionary finds as much in tokens that pass through untrained weights.`;
}

const show = (value: number): string => value.toFixed(3).replace('-', '−');
const span = ({ low, high }: Interval): string => `[${show(low)}, ${show(high)}]`;

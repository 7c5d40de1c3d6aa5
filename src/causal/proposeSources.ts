import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { ActiveAt } from './activeFeatures.ts';

/** An active source feature and where it is active. */
export type ActiveSource = readonly [index: number, at: ActiveAt];

/**
 * Chooses the `limit` source features most worth ablating, at no cost in model runs. What a feature can do to a target
 * at the last position p of a context takes one of three ways, and each gives a ranking (sums over contexts):
 *  - directly along the residual stream: |c_j(p) · f_j·e|, e the target's encoder direction;
 *  - through the layers' branches at p: c_j(p);
 *  - by attention from earlier positions: Σ_t c_j(t) / (1 + (p − t)/4), nearer ones first.
 * The rankings are taken in turn. This only proposes: every effect reported is measured by ablation.
 */
export function proposeSources(
  active: readonly ActiveSource[],
  source: DictionaryWeights,
  /** Null for an output token, which the direct way then says nothing of. */
  target: { readonly weights: DictionaryWeights; readonly index: number } | null,
  /** Last position of each context that counts. */
  lasts: ReadonlyMap<number, number>,
  limit: number,
): ActiveSource[] {
  if (active.length <= limit) return [...active];
  const scores = active.map(([index, at]) => {
    const cosine = target === null ? 0 : Math.abs(product(source, index, target));
    const score = { direct: 0, here: 0, before: 0 };
    for (const [context, last] of lasts) {
      const place = at.get(context);
      place?.positions.forEach((t, i) => {
        const c = place.activations[i];
        if (t === last) {
          score.here += c;
          score.direct += c * cosine;
        } else score.before += c / (1 + (last - t) / 4);
      });
    }
    return score;
  });
  const ways = target === null ? (['here', 'before'] as const) : (['direct', 'here', 'before'] as const);
  const rankings = ways.map((way) => [...active.keys()].sort((a, b) => scores[b][way] - scores[a][way] || a - b));
  const chosen = new Set<number>();
  for (let rank = 0; chosen.size < limit; rank++) {
    for (const ranking of rankings) if (chosen.size < limit) chosen.add(ranking[rank]);
  }
  return active.filter((_, i) => chosen.has(i));
}

/**
 * The `limit` active features with the greatest |mean first-order effect| over contexts, in their order.
 *
 * @param effects by feature and context: the change of the target, as far as its gradient tells, when the feature is ablated.
 * @param unit by context: what a change of 1 is a share of; a fall counts up to the whole of it, as a target can only fall silent. Null = changes as they are.
 */
export function mostAttributed(active: readonly ActiveSource[], effects: ReadonlyMap<number, Float64Array>, unit: readonly number[] | null, limit: number): ActiveSource[] {
  if (active.length <= limit) return [...active];
  const scores = active.map(([index]) => {
    let sum = 0;
    effects.get(index)?.forEach((effect, b) => (sum += unit === null ? effect : Math.max(-1, effect / unit[b])));
    return Math.abs(sum);
  });
  const chosen = new Set([...active.keys()].sort((a, b) => scores[b] - scores[a] || a - b).slice(0, limit));
  return active.filter((_, i) => chosen.has(i));
}

/** f_j·e, the target's encoder row; both dictionaries are of one model, so one writes vectors as wide as the other reads. */
function product(source: DictionaryWeights, j: number, target: { readonly weights: DictionaryWeights; readonly index: number }): number {
  const d = source.config.dOut;
  let sum = 0;
  for (let q = 0; q < d; q++) sum += source.decoder[j * d + q] * target.weights.encoder[target.index * d + q];
  return sum;
}

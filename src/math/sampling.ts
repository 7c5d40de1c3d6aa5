import { expNonPositive, logSumExp } from './logits.ts';

export interface LogProbability {
  readonly id: number;
  /** Natural logarithm. */
  readonly logprob: number;
}

/** The likeliest of logits[at .. at+size); the first of equals. */
export function likeliest(logits: Float32Array, at: number, size: number): number {
  let best = at;
  for (let i = at + 1; i < at + size; i++) if (logits[i] > logits[best]) best = i;
  return best - at;
}

/** The `count` likeliest of softmax(logits[at .. at+size)), likeliest first, the lower id first of equals; `total` is their logSumExp. */
export function topLogProbabilities(logits: Float32Array, at: number, size: number, total: number, count: number): LogProbability[] {
  const wanted = Math.min(count, size);
  if (wanted === 0) return [];
  /** Kept sorted; short, so that insertion is quicker than a heap. */
  const ids: number[] = [];
  for (let id = 0; id < size; id++) {
    const logit = logits[at + id];
    if (ids.length === wanted && !(logit > logits[at + ids[wanted - 1]])) continue;
    let place = ids.length === wanted ? wanted - 1 : ids.length;
    while (place > 0 && logit > logits[at + ids[place - 1]]) {
      ids[place] = ids[place - 1];
      place--;
    }
    ids[place] = id;
  }
  return ids.map((id) => ({ id, logprob: Math.min(0, logits[at + id] - total) }));
}

/**
 * Draws from softmax(logits[at .. at+size) / temperature), of which only the smallest set of likeliest tokens with at least
 * probability `topP` together stays (nucleus sampling, Holtzman et al. 2020). Temperature 0 takes the likeliest.
 *
 * @param uniform a number in [0, 1): equal numbers draw equal tokens.
 */
export function sampleToken(
  logits: Float32Array,
  at: number,
  size: number,
  { temperature, topP }: { readonly temperature: number; readonly topP: number },
  uniform: number,
): number {
  const best = likeliest(logits, at, size);
  if (temperature === 0) return best;
  const max = logits[at + best];
  const weights = new Float64Array(size);
  let sum = 0;
  for (let i = 0; i < size; i++) sum += weights[i] = expNonPositive((logits[at + i] - max) / temperature);
  if (topP >= 1) return draw(weights, weights.keys(), uniform * sum, best);

  // All tokens below this hold less than 1 - topP together, so none of them is in the nucleus; what is left is short to sort.
  const floor = ((1 - topP) * sum) / size;
  const candidates: number[] = [];
  for (let i = 0; i < size; i++) if (weights[i] >= floor) candidates.push(i);
  candidates.sort((a, b) => weights[b] - weights[a] || a - b);
  let kept = 0;
  let mass = 0;
  while (kept < candidates.length && mass < topP * sum) mass += weights[candidates[kept++]];
  return draw(weights, candidates.slice(0, Math.max(1, kept)), uniform * mass, best);
}

/** The token at which the running sum of weights passes `mass`; `last` where rounding leaves none. */
function draw(weights: Float64Array, order: Iterable<number>, mass: number, last: number): number {
  let rest = mass;
  let token = last;
  for (const id of order) {
    if (weights[id] === 0) continue;
    token = id;
    rest -= weights[id];
    if (rest < 0) break;
  }
  return token;
}

/** Natural logarithm of the probability of `id`, and the `count` likeliest. */
export function scoreToken(logits: Float32Array, at: number, size: number, id: number, count: number): LogProbability & { readonly top: readonly LogProbability[] } {
  const total = logSumExp(logits, at, size);
  return { id, logprob: Math.min(0, logits[at + id] - total), top: topLogProbabilities(logits, at, size, total, count) };
}

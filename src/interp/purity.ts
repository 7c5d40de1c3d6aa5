/** How well "active" says where a pattern stands. Counts of tokens, as the paper's code prints them (case_studies.ipynb). */
export interface Purity {
  /** Active on a token of the pattern. */
  readonly matches: number;
  /** Active elsewhere. */
  readonly falsePositives: number;
  /** Silent on a token of the pattern. */
  readonly falseNegatives: number;
  /** matches / active; null when never active. */
  readonly precision: number | null;
  /** matches / tokens of the pattern; null when there are none. */
  readonly recall: number | null;
  /** 2·matches / (active + tokens of the pattern), the harmonic mean of the two; null when both are 0. */
  readonly f1: number | null;
}

/** Purity with the rule it is of. */
export interface PurityAt extends Purity {
  /** Active means: an activation above 0 that is … this. */
  readonly rule: 'above' | 'at least';
  readonly threshold: number;
}

/** Purity from the tokens both active and of the pattern, the active ones, and those of the pattern. */
export function purityOf(matches: number, active: number, pattern: number): Purity {
  return {
    matches,
    falsePositives: active - matches,
    falseNegatives: pattern - matches,
    precision: active === 0 ? null : matches / active,
    recall: pattern === 0 ? null : matches / pattern,
    f1: active + pattern === 0 ? null : (2 * matches) / (active + pattern),
  };
}

/** Purity of "activation above `threshold`" against a mask, token by token. */
export function purityAbove(activations: Float32Array, mask: Uint8Array, threshold: number): PurityAt {
  let [matches, active, pattern] = [0, 0, 0];
  for (let i = 0; i < activations.length; i++) {
    const fires = activations[i] > threshold;
    if (fires) active++;
    if (mask[i] === 0) continue;
    pattern++;
    if (fires) matches++;
  }
  return { rule: 'above', threshold, ...purityOf(matches, active, pattern) };
}

/**
 * The threshold t with the greatest F1 of "0 < activation ≥ t" over all activations that occur, exactly; of equals the
 * greatest. Null for a feature that is never active or a pattern that never occurs. Sorts the active tokens once.
 */
export function bestPurity(activations: Float32Array, mask: Uint8Array): PurityAt | null {
  const active = activations.filter((value) => value > 0).sort();
  const onPattern = activations.filter((value, i) => value > 0 && mask[i] !== 0).sort();
  let pattern = 0;
  for (const bit of mask) pattern += bit === 0 ? 0 : 1;
  if (active.length === 0 || pattern === 0) return null;
  let best: PurityAt | null = null;
  for (let at = active.length - 1, hit = onPattern.length - 1; at >= 0; ) {
    const threshold = active[at];
    while (at >= 0 && active[at] === threshold) at--;
    while (hit >= 0 && onPattern[hit] >= threshold) hit--;
    const found = purityOf(onPattern.length - 1 - hit, active.length - 1 - at, pattern);
    if (best === null || (found.f1 ?? 0) > (best.f1 ?? 0)) best = { rule: 'at least', threshold, ...found };
  }
  return best;
}

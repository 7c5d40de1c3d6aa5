import { klDivergence } from './divergence.ts';
import { tokenChanges, type LogProbChange } from './tokenChanges.ts';

/** What is wanted of the next-token predictions at each position; what is left out is not computed. */
export interface PredictionMeasures {
  /** KL(patched‖base). */
  readonly klFromBase?: boolean;
  /** KL(patched‖target) and KL(base‖target); null without a target. */
  readonly klFromTarget?: boolean;
  /** Pairs of token ids [a, b]: logit of a minus logit of b. */
  readonly logitDifferences?: readonly (readonly [number, number])[];
  /** Token ids whose log-probabilities are wanted. */
  readonly logProbs?: readonly number[];
  /** The tokens that change most among this many likeliest ones before and after (tokenChanges); 0 = none. */
  readonly topTokens?: number;
  /** Loss on the prompt's own next token. */
  readonly loss?: boolean;
}

/** A number in the base run and in the patched one. */
export interface Change {
  readonly base: number;
  readonly patched: number;
}

/** Predictions at one position, compared. Nats throughout; null or empty where not wanted or not defined. */
export interface PredictionComparison {
  readonly klFromBase: number | null;
  readonly klFromTarget: number | null;
  readonly klBaseFromTarget: number | null;
  /** One per pair asked for. */
  readonly logitDifferences: readonly Change[];
  /** One per token asked for. */
  readonly logProbs: readonly Change[];
  readonly changes: readonly LogProbChange[];
  /** −log p of the next token; null at the last position. */
  readonly loss: Change | null;
}

/**
 * Compares natural log-probabilities [V] of the base, target and patched run at one position. A difference of logits is one
 * of log-probabilities, so logits themselves are not needed.
 *
 * @param next the prompt's token at the next position, or null at its end.
 */
export function comparePredictions(measures: PredictionMeasures, base: Float64Array, target: Float64Array | null, patched: Float64Array, next: number | null): PredictionComparison {
  const both = (read: (logProbs: Float64Array) => number): Change => ({ base: read(base), patched: read(patched) });
  const toTarget = measures.klFromTarget === true ? target : null;
  return {
    klFromBase: measures.klFromBase === true ? klDivergence(patched, base) : null,
    klFromTarget: toTarget === null ? null : klDivergence(patched, toTarget),
    klBaseFromTarget: toTarget === null ? null : klDivergence(base, toTarget),
    logitDifferences: (measures.logitDifferences ?? []).map(([a, b]) => both((logProbs) => logProbs[a] - logProbs[b])),
    logProbs: (measures.logProbs ?? []).map((id) => both((logProbs) => logProbs[id])),
    changes: measures.topTokens === undefined || measures.topTokens === 0 ? [] : tokenChanges(base, patched, measures.topTokens),
    loss: measures.loss === true && next !== null ? both((logProbs) => -logProbs[next]) : null,
  };
}

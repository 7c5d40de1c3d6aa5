import type { NextToken } from './nextToken.ts';
import { rankOf, tokenChanges, type LogProbChange } from './tokenChanges.ts';

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
  /** Token ids whose log-probabilities and ranks are wanted. */
  readonly tokens?: readonly number[];
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
  /** One per pair asked for; `target` null where klFromTarget is not wanted, or without a target. */
  readonly logitDifferences: readonly (Change & { readonly target: number | null })[];
  /** One per token asked for. */
  readonly logProbs: readonly Change[];
  /** One per token whose rank was asked for. */
  readonly tokens: readonly LogProbChange[];
  readonly changes: readonly LogProbChange[];
  /** −log p of the next token; null at the last position. */
  readonly loss: Change | null;
}

/**
 * Compares the predictions of the base, target and patched run at one position.
 *
 * @param next the prompt's token at the next position, or null at its end.
 */
export function comparePredictions(measures: PredictionMeasures, base: NextToken, target: NextToken | null, patched: NextToken, next: number | null): PredictionComparison {
  const both = (read: (prediction: NextToken) => number): Change => ({ base: read(base), patched: read(patched) });
  const toTarget = measures.klFromTarget === true ? target : null;
  return {
    klFromBase: measures.klFromBase === true ? patched.klFrom(base) : null,
    klFromTarget: toTarget === null ? null : patched.klFrom(toTarget),
    klBaseFromTarget: toTarget === null ? null : base.klFrom(toTarget),
    logitDifferences: (measures.logitDifferences ?? []).map(([a, b]) => ({ ...both((one) => one.difference(a, b)), target: toTarget?.difference(a, b) ?? null })),
    logProbs: (measures.logProbs ?? []).map((id) => both((one) => one.logProb(id))),
    tokens: (measures.tokens ?? []).map((id) => ({
      id,
      baseLogProb: base.logProb(id),
      patchedLogProb: patched.logProb(id),
      baseRank: rankOf(base.logProbs(), id),
      patchedRank: rankOf(patched.logProbs(), id),
    })),
    changes: measures.topTokens === undefined || measures.topTokens === 0 ? [] : tokenChanges(base.logProbs(), patched.logProbs(), measures.topTokens),
    loss: measures.loss === true && next !== null ? both((one) => -one.logProb(next)) : null,
  };
}

import { invariant } from '../domain/errors.ts';

/** What stands at the output hook point while the model predicts. */
export const REPLACEMENTS = ['original', 'spliced', 'zero', 'mean'] as const;
export type Replacement = (typeof REPLACEMENTS)[number];

/** Sums over predictions. */
export interface PredictionSums {
  readonly predictions: number;
  /** Σ −log q(next token), nats. */
  readonly crossEntropy: number;
  /** Σ KL(p‖q) with p of the untouched model, nats. */
  readonly divergence: number;
}

export const NO_PREDICTIONS: PredictionSums = { predictions: 0, crossEntropy: 0, divergence: 0 };

export function addPredictions(a: PredictionSums, b: PredictionSums): PredictionSums {
  return { predictions: a.predictions + b.predictions, crossEntropy: a.crossEntropy + b.crossEntropy, divergence: a.divergence + b.divergence };
}

/**
 * What splicing a reconstruction into the model costs, in nats per prediction (SAEBench core; the paper, section 6.2, for
 * perplexity). CE is the mean of −log q(next token), KL the mean of KL(p‖q) with p what the untouched model says, q what it says
 * with x̂, 0 or the mean activation in the place of x:
 *
 *     ceRecovered         = (CE_zero − CE_spliced) / (CE_zero − CE_original)      1 = nothing lost, 0 = as bad as zeroes; higher is better
 *     ceRecoveredFromMean = (CE_mean − CE_spliced) / (CE_mean − CE_original)      the same against the mean, a harder floor
 *     klRecovered         = (KL_zero − KL_spliced) / KL_zero                       higher is better
 *     klRecoveredFromMean = (KL_mean − KL_spliced) / KL_mean
 *     perplexity          = exp(CE)                                                lower is better
 *
 * A share is null where its denominator is 0 or negative: the ablation does not hurt, so there is nothing to recover.
 */
export interface SpliceScores {
  readonly predictions: number;
  readonly ceOriginal: number;
  readonly ceSpliced: number;
  readonly ceZero: number;
  readonly ceMean: number;
  readonly klSpliced: number;
  readonly klZero: number;
  readonly klMean: number;
  readonly ceRecovered: number | null;
  readonly ceRecoveredFromMean: number | null;
  readonly klRecovered: number | null;
  readonly klRecoveredFromMean: number | null;
  readonly perplexityOriginal: number;
  readonly perplexitySpliced: number;
}

export function spliceScores(sums: Readonly<Record<Replacement, PredictionSums>>): SpliceScores {
  const { predictions } = sums.original;
  invariant(predictions > 0 && REPLACEMENTS.every((each) => sums[each].predictions === predictions), 'the same predictions with every replacement');
  const ce = (each: Replacement): number => sums[each].crossEntropy / predictions;
  const kl = (each: Replacement): number => sums[each].divergence / predictions;
  return {
    predictions,
    ceOriginal: ce('original'),
    ceSpliced: ce('spliced'),
    ceZero: ce('zero'),
    ceMean: ce('mean'),
    klSpliced: kl('spliced'),
    klZero: kl('zero'),
    klMean: kl('mean'),
    ceRecovered: share(ce('zero') - ce('spliced'), ce('zero') - ce('original')),
    ceRecoveredFromMean: share(ce('mean') - ce('spliced'), ce('mean') - ce('original')),
    klRecovered: share(kl('zero') - kl('spliced'), kl('zero')),
    klRecoveredFromMean: share(kl('mean') - kl('spliced'), kl('mean')),
    perplexityOriginal: Math.exp(ce('original')),
    perplexitySpliced: Math.exp(ce('spliced')),
  };
}

function share(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

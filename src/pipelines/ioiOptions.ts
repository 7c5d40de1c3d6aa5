import type { IoiOrdering } from '../ports/IoiReport.ts';

/** Options of the indirect-object experiment; all of them are part of the run's identity. */
export interface IoiOptions {
  readonly orderings: readonly IoiOrdering[];
  /** How many thresholds, from 1e-5 to the highest, evenly spaced in their logarithm. */
  readonly thresholds: number;
  /** Nats; the paper's is 1. Where the unpatched KL is many nats, more thresholds above it give the sets of few features. */
  readonly highest: number;
  /** Gradients averaged for the attribution; 1 = that of the unedited run. */
  readonly gradientSteps: number;
  /** Tokens of one forward run. */
  readonly batchTokens: number;
  readonly seed: number;
}

/** The paper's protocol (Cunningham et al. 2023, section 4.2) beside an ordering that no seed decides. */
export const IOI_DEFAULTS: IoiOptions = { orderings: ['threshold', 'attribution'], thresholds: 50, highest: 1, gradientSteps: 8, batchTokens: 4096, seed: 0 };

/** Prompts the paper took. */
export const IOI_PROMPTS = 50;

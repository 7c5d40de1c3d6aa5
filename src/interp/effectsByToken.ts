import { meanInterval, type MeanInterval } from './meanInterval.ts';

/** What an ablation does to the prediction of one token, wherever it was the next token in the text. */
export interface TokenEffect {
  readonly id: number;
  /** Over all measured positions with this next token. The interval takes positions as independent. */
  readonly all: MeanInterval;
  /** Over those where the feature is active at the position itself. */
  readonly active: MeanInterval;
  /** Positions with an effect above the threshold, and their sum. */
  readonly positive: number;
  readonly positiveSum: number;
  /** Positions with an effect below minus the threshold, and their sum (negative). */
  readonly negative: number;
  readonly negativeSum: number;
}

/** Effects log p(clean) − log p(ablated) of the true next token, in nats, summed up by that token. */
export interface EffectSummary {
  readonly positions: MeanInterval;
  readonly activePositions: MeanInterval;
  readonly positive: number;
  readonly negative: number;
  /** Tokens that the ablation makes less likely: by the sum of effects above the threshold, largest first. */
  readonly loses: readonly TokenEffect[];
  /** Tokens that it makes likelier: by the sum of effects below minus the threshold, most negative first. */
  readonly gains: readonly TokenEffect[];
}

/**
 * Sums up effects by next token, with the threshold the paper's figures use (0.1 nats).
 *
 * @param effects [n]; @param next [n] true next tokens; @param active [n] not 0 where the feature is active at the position.
 * @param top tokens listed at either end; quantile that of Student's t, since many tokens stand at two or three positions only.
 */
export function effectsByToken(effects: ArrayLike<number>, next: ArrayLike<number>, active: ArrayLike<number>, { threshold, top, quantile }: { readonly threshold: number; readonly top: number; readonly quantile: (degrees: number) => number }): EffectSummary {
  const byToken = new Map<number, { all: number[]; active: number[] }>();
  const whole = { all: [] as number[], active: [] as number[] };
  for (let i = 0; i < effects.length; i++) {
    let found = byToken.get(next[i]);
    if (found === undefined) byToken.set(next[i], (found = { all: [], active: [] }));
    for (const group of [found, whole]) {
      group.all.push(effects[i]);
      if (active[i] !== 0) group.active.push(effects[i]);
    }
  }
  const tokens = [...byToken].map(([id, { all, active: at }]): TokenEffect => {
    const above = all.filter((effect) => effect > threshold);
    const below = all.filter((effect) => effect < -threshold);
    return { id, all: meanInterval(all, quantile), active: meanInterval(at, quantile), positive: above.length, positiveSum: sum(above), negative: below.length, negativeSum: sum(below) };
  });
  return {
    positions: meanInterval(whole.all, quantile),
    activePositions: meanInterval(whole.active, quantile),
    positive: tokens.reduce((n, { positive }) => n + positive, 0),
    negative: tokens.reduce((n, { negative }) => n + negative, 0),
    loses: tokens.filter(({ positive }) => positive > 0).sort((a, b) => b.positiveSum - a.positiveSum || a.id - b.id).slice(0, top),
    gains: tokens.filter(({ negative }) => negative > 0).sort((a, b) => a.negativeSum - b.negativeSum || a.id - b.id).slice(0, top),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

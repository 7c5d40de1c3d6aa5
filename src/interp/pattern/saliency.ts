import { Rng } from '../../math/rng.ts';
import { probeOf } from './prune.ts';
import type { Pruned } from './prune.ts';
import type { Probe, Subject } from './probe.ts';
import type { PatternSettings } from './settings.ts';

/** How much of the activation each token of a pruned context carries. */
export interface Salient {
  readonly pruned: Pruned;
  /** importance[i] = 1 − mean masked activation / base, for tokens[i]; can be negative where masking strengthens. */
  readonly importance: readonly number[];
  /** Positions matched by name; ascending, never empty. The others become wildcards. */
  readonly literals: readonly number[];
}

/**
 * Neuron-to-Graph's second step: each token in turn is replaced and the activation read again. A replacement is a token drawn
 * from the text (Neuron-to-Graph uses one fixed mask token, which most models never saw in such a place); `maskDraws` draws are
 * averaged, twice as many for the activating token, and one for context tokens of a long context, where rows are many and long.
 */
export async function saliency(items: readonly Pruned[], subject: Subject, settings: PatternSettings, seed: number): Promise<Salient[]> {
  const probes: Probe[] = [];
  const counts: number[][] = [];
  for (const { target, tokens } of items) {
    counts.push(
      tokens.map((token, position) => {
        // The draws depend on the place alone, so equal masked rows of different features are one row of the batch.
        const rng = Rng.derive(seed, 'mask', position, token);
        const draws = position === 0 ? 2 * settings.maskDraws : tokens.length > settings.shortContext ? 1 : settings.maskDraws;
        for (let d = 0; d < draws; d++) {
          const masked = tokens.slice();
          masked[position] = replacement(token, subject, rng);
          probes.push(probeOf(masked, target.feature, subject));
        }
        return draws;
      }),
    );
  }
  const values = await subject.read(probes);
  let at = 0;
  return items.map((pruned, i) => {
    const importance = counts[i].map((draws) => {
      let sum = 0;
      for (let d = 0; d < draws; d++) sum += values[at++];
      return 1 - sum / draws / pruned.base;
    });
    return { pruned, importance, literals: literalPositions(importance, settings.importance) };
  });
}

/** Positions of at least the threshold; where there is none, the most important one (ties: nearest the activating token). */
export function literalPositions(importance: readonly number[], threshold: number): number[] {
  const named = importance.flatMap((value, position) => (value >= threshold ? [position] : []));
  return named.length > 0 ? named : [importance.indexOf(Math.max(...importance))];
}

function replacement(token: number, subject: Subject, rng: Rng): number {
  const { background } = subject;
  for (let tries = 0; tries < 8; tries++) {
    const drawn = background[rng.int(background.length)];
    if (drawn !== token) return drawn;
  }
  return background[rng.int(background.length)];
}

import { Rng } from '../../math/rng.ts';
import type { Probe, Subject } from './probe.ts';
import type { PatternSettings } from './settings.ts';
import type { Target } from './targets.ts';

/** A target with the shortest context that still makes the feature fire. */
export interface Pruned {
  readonly target: Target;
  /** tokens[0] is the activating token, then backwards; a prefix of target.tokens. */
  readonly tokens: readonly number[];
  /** Activation read with just this context after a document start. */
  readonly base: number;
}

/** Rows of random tokens a length is checked against; the same for all features. */
const CONTROLS = 4;

/**
 * Neuron-to-Graph's first step: the shortest suffix, placed at the start of a document, that keeps at least `settings.keep` of the
 * activation. A length at which random tokens would do as well (a feature of the position, say) does not count.
 * @returns one entry per target, null where no tested length keeps enough: the activation depends on more context, or on the place
 *   in the text, and a short pattern cannot account for it.
 */
export async function prune(targets: readonly Target[], subject: Subject, settings: PatternSettings, seed: number): Promise<(Pruned | null)[]> {
  const found: (Pruned | null)[] = targets.map(() => null);
  for (const group of settings.suffixLengths) {
    const open = targets.flatMap((target, i) => (found[i] === null ? group.filter((n) => n <= target.tokens.length).map((length) => ({ i, target, length })) : []));
    const probes = open.map(({ target, length }) => probeOf(target.tokens.slice(0, length), target.feature, subject));
    const controls = open.flatMap(({ target, length }) => controlRows(length, subject, seed).map((tokens) => probeOf(tokens, target.feature, subject)));
    const values = await subject.read([...probes, ...controls]);
    open.forEach(({ i, target, length }, j) => {
      if (found[i] !== null) return; // lengths ascend within a group
      let control = 0;
      for (let k = 0; k < CONTROLS; k++) control += values[probes.length + j * CONTROLS + k] / CONTROLS;
      const enough = settings.keep * target.activation;
      if (values[j] >= enough && control < enough) found[i] = { target, tokens: target.tokens.slice(0, length), base: values[j] };
    });
  }
  return found;
}

/** Row for tokens listed backwards. */
export function probeOf(backwards: readonly number[], feature: number, subject: Subject): Probe {
  return { ids: [subject.documentStart, ...backwards.toReversed()], feature };
}

function controlRows(length: number, subject: Subject, seed: number): number[][] {
  const rng = Rng.derive(seed, 'control', length);
  const { background } = subject;
  return Array.from({ length: CONTROLS }, () => Array.from({ length }, () => background[rng.int(background.length)]));
}

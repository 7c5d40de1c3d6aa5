import { probeOf } from './prune.ts';
import type { Probe, Subject } from './probe.ts';
import type { Salient } from './saliency.ts';
import type { PatternSettings } from './settings.ts';

/** A token that can stand in for another without silencing the feature. */
export interface Substitute {
  readonly token: number;
  /** Activation with it divided by activation with the original. */
  readonly ratio: number;
}

export interface Augmented {
  readonly salient: Salient;
  /** For each entry of salient.literals the measured substitutes, strongest first; the original is not among them. */
  readonly substitutes: readonly (readonly Substitute[])[];
}

/**
 * Neuron-to-Graph's third step: every token matched by name is replaced by candidates, and those that keep at least
 * `settings.keep` of the activation become alternatives. Neuron-to-Graph asks a masked language model for candidates; here they come
 * from the subject model's own next-token distribution after the tokens before, from tokens that differ in case or leading
 * space only, and for the activating token from those that fire the feature alone.
 *
 * A context of one token is not tried again: the single-token table already says what fires there.
 */
export async function augment(items: readonly Salient[], subject: Subject, settings: PatternSettings): Promise<Augmented[]> {
  const slots = items.flatMap((item, i) => (item.pruned.tokens.length === 1 ? [] : item.literals.map((position, l) => ({ i, l, position, item }))));
  const prefixes = slots.map(({ item, position }) => [subject.documentStart, ...item.pruned.tokens.slice(position + 1).toReversed()]);
  const proposals = settings.substitutes === 0 ? prefixes.map(() => []) : await subject.propose(prefixes, settings.substitutes);
  const probes: Probe[] = [];
  const tried = slots.map(({ item, position }, s) => {
    const { tokens, target } = item.pruned;
    const original = tokens[position];
    const candidates = new Set([...proposals[s], ...subject.variants(original)]);
    if (position === 0) for (const { token } of subject.alone(target.feature).slice(0, settings.substitutes)) candidates.add(token);
    candidates.delete(original);
    candidates.delete(subject.documentStart);
    for (const token of candidates) probes.push(probeOf(tokens.with(position, token), target.feature, subject));
    return [...candidates];
  });
  const values = await subject.read(probes);
  const substitutes: Substitute[][][] = items.map((item) => item.literals.map(() => []));
  let at = 0;
  slots.forEach(({ i, l, item }, s) => {
    for (const token of tried[s]) {
      const ratio = values[at++] / item.pruned.base;
      if (ratio >= settings.keep) substitutes[i][l].push({ token, ratio });
    }
    substitutes[i][l].sort((a, b) => b.ratio - a.ratio || a.token - b.token);
  });
  return items.map((salient, i) => ({ salient, substitutes: substitutes[i] }));
}

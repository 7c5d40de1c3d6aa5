import type { Exemplar } from '../../domain/feature.ts';
import type { PatternSettings } from './settings.ts';

/** A position of an explanation fragment where the feature is active, to find out why. */
export interface Target {
  readonly feature: number;
  /** Largest activation in the feature's explanation fragments. */
  readonly max: number;
  /** Activation read in the fragment. */
  readonly activation: number;
  /** tokens[0] is the activating token, tokens[i] the i-th before it, back to the fragment's or the document's start. */
  readonly tokens: readonly number[];
}

/**
 * The strongest position of every fragment, strongest first, then further positions of at least `targetShare` of the maximum,
 * those with a token not yet chosen first; at most `settings.targets`.
 */
export function chooseTargets(feature: number, fragments: readonly Exemplar[], documentStart: number, settings: PatternSettings): Target[] {
  const max = Math.max(0, ...fragments.map((f) => Math.max(...f.activations)));
  if (!(max > 0)) return [];
  const strongest: Target[] = [];
  const others: Target[] = [];
  for (const fragment of fragments) {
    const peak = fragment.activations.indexOf(Math.max(...fragment.activations));
    fragment.activations.forEach((activation, at) => {
      if (activation <= 0) return;
      if (at !== peak && activation < settings.targetShare * max) return;
      const target = { feature, max, activation, tokens: backwards(fragment.ids, at, documentStart) };
      (at === peak ? strongest : others).push(target);
    });
  }
  const byActivation = (a: Target, b: Target): number => b.activation - a.activation;
  strongest.sort(byActivation);
  others.sort(byActivation);
  const seen = new Set(strongest.map((t) => t.tokens[0]));
  const fresh: Target[] = [];
  const repeated: Target[] = [];
  for (const target of others) {
    (seen.has(target.tokens[0]) ? repeated : fresh).push(target);
    seen.add(target.tokens[0]);
  }
  return [...strongest, ...fresh, ...repeated].slice(0, settings.targets);
}

/** Tokens from `at` backwards, stopping before the last document start (which every probe brings itself). */
function backwards(ids: readonly number[], at: number, documentStart: number): readonly number[] {
  const tokens = [ids[at]];
  for (let i = at - 1; i >= 0 && ids[i] !== documentStart; i--) tokens.push(ids[i]);
  return tokens;
}

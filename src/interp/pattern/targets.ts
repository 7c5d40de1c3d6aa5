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
  /** The oldest of `tokens` is the first of its document. */
  readonly startsDocument: boolean;
  /** Position in the row of the token file: a model treats the very first tokens it sees in a way of its own. */
  readonly rowPosition: number;
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
      const target = { feature, max, activation, ...backwards(fragment.ids, at, documentStart), rowPosition: fragment.start + at };
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

/** Within the first tokens of a document or of a row: too little comes before for a context to explain anything. */
export function nearStart({ tokens, startsDocument, rowPosition }: Target): boolean {
  return rowPosition < NEAR_START || (startsDocument && tokens.length <= NEAR_START);
}

const NEAR_START = 3;

/** Tokens from `at` backwards, stopping before the last document start (which every probe brings itself). */
function backwards(ids: readonly number[], at: number, documentStart: number): { tokens: readonly number[]; startsDocument: boolean } {
  const tokens = [ids[at]];
  if (ids[at] === documentStart) return { tokens, startsDocument: false };
  let i = at - 1;
  for (; i >= 0 && ids[i] !== documentStart; i--) tokens.push(ids[i]);
  return { tokens, startsDocument: i >= 0 };
}

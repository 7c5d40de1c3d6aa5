import type { Augmented } from './augment.ts';
import type { PatternSettings } from './settings.ts';
import type { PatternPath } from './trie.ts';

/** A substitute may strengthen the feature, but short probes overstate by how much. */
const LARGEST_RATIO = 1.5;

/**
 * Patterns of one studied position: the tokens matched by name, wildcards between, and every combination of their substitutes
 * (ratios multiplied: each was measured alone, combinations are predictions), strongest `pathsPerTarget`. The original's
 * value is the activation in the fragment.
 */
export function pathsOf(item: Augmented, settings: PatternSettings): PatternPath[] {
  const { pruned, literals } = item.salient;
  const tokens: (number | null)[] = pruned.tokens.map((token, position) => (literals.includes(position) ? token : null));
  let paths: PatternPath[] = [{ tokens, value: pruned.target.activation }];
  literals.forEach((position, l) => {
    const more = paths.flatMap((path) =>
      item.substitutes[l].map(({ token, ratio }) => ({ tokens: path.tokens.with(position, token), value: path.value * Math.min(ratio, LARGEST_RATIO) })),
    );
    const [original, ...others] = [...paths, ...more];
    paths = [original, ...others.sort((a, b) => b.value - a.value)].slice(0, settings.pathsPerTarget);
  });
  return paths;
}

/**
 * Patterns of one token from the single-token table: tokens of at least `share` of the maximum. Values are scaled by the median
 * of (activation in the fragment ÷ activation alone) over the studied positions that needed no context (1 where there is none):
 * a token at a document's start fires the same feature by another amount.
 */
export function alonePaths(alone: readonly { readonly token: number; readonly value: number }[], max: number, scale: number, share: number, limit: number): PatternPath[] {
  return alone
    .filter(({ value }) => value * scale >= share * max)
    .slice(0, limit)
    .map(({ token, value }) => ({ tokens: [token], value: Math.min(value * scale, max) }));
}

/** Median of a non-empty list (mean of the middle two). */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

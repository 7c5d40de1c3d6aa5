import type { Exemplar } from '../../domain/feature.ts';
import type { Augmented } from './augment.ts';
import type { PatternSettings } from './settings.ts';
import { compileTrie, simulate } from './simulate.ts';
import { buildTrie } from './trie.ts';
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

/**
 * Single-token patterns corrected by what the tokens did in the explanation fragments: the value of a token seen there n times becomes
 * (v + w·sum of its activations) / (1 + w·n), v being what the single-token table says (0 where it says nothing) and w the weight.
 * A token that fires alone but not in text is lowered; one that fires in contexts no pattern covers gets its mean, so that
 * patterns with context back off to it where their context is missing. Places that a pattern with context accounts for do not
 * count: " to" after " gave" must not make every " to" a little active. But a pattern that holds in one fragment only, the one it was
 * found in, accounts for nothing: it is more likely an accident of that place.
 * @param inContext patterns with context, grouped by the position they were found at.
 * @returns one path per token, those below `share` of the maximum left out.
 */
export function observedPaths(
  alone: readonly PatternPath[],
  inContext: readonly (readonly PatternPath[])[],
  fragments: readonly Exemplar[],
  max: number,
  { observedWeight: weight, aloneShare: share }: PatternSettings,
): PatternPath[] {
  const values = new Map(alone.map(({ tokens, value }) => [tokens[0]!, { sum: value, n: 1 }]));
  const covered = coveredPlaces(inContext, fragments);
  fragments.forEach(({ ids, activations }, f) => {
    if (weight === 0) return;
    ids.forEach((id, t) => {
      if (covered[f][t]) return;
      const seen = values.get(id) ?? { sum: 0, n: 1 };
      values.set(id, { sum: seen.sum + weight * activations[t], n: seen.n + weight });
    });
  });
  return [...values].map(([token, { sum, n }]) => ({ tokens: [token], value: sum / n })).filter(({ value }) => value >= share * max);
}

/** Places that some group of patterns matches, of groups that match in at least two fragments. */
function coveredPlaces(groups: readonly (readonly PatternPath[])[], fragments: readonly Exemplar[]): boolean[][] {
  const covered = fragments.map(({ ids }) => ids.map(() => false));
  for (const group of groups) {
    if (group.length === 0) continue;
    const trie = compileTrie(buildTrie(group, String));
    const matches = fragments.map(({ ids }) => simulate(trie, ids));
    if (matches.filter((values) => values.some((v) => v > 0)).length < 2) continue;
    matches.forEach((values, f) => values.forEach((v, t) => { covered[f][t] ||= v > 0; }));
  }
  return covered;
}

/** Whether a pattern names a token besides the activating one. */
export function hasContext({ tokens }: PatternPath): boolean {
  return tokens.slice(1).some((token) => token !== null);
}

/** Median of a non-empty list (mean of the middle two). */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

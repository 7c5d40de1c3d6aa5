/** What might stand in one place, with natural logarithms of probabilities. */
export interface Alternative {
  readonly text: string;
  readonly logprob: number;
}

/** Blanks before a number, and how vocabularies write them. */
const LEVEL = /^[ \t▁Ġ]*(10|\d)\s*$/;

/** Level an alternative stands for, or null. `prefix` is what the token holds before the level (a tab that was folded into it). */
export function levelOf(text: string, prefix: string, top: number): number | null {
  const rest = text.startsWith(prefix) ? text.slice(prefix.length) : /^[ \t]*$/.test(prefix) ? text : null;
  const level = rest === null ? null : LEVEL.exec(rest);
  if (level === null || Number(level[1]) > top) return null;
  return Number(level[1]);
}

/**
 * Expected level Σ k·p(k) over the alternatives that are levels, their probabilities brought to sum 1 (Bills et al. 2023); null
 * when none is. Alternatives that differ only in blanks add up.
 */
export function expectedLevel(alternatives: readonly Alternative[], prefix: string, top: number): number | null {
  let weight = 0;
  let sum = 0;
  for (const { text, logprob } of alternatives) {
    const level = levelOf(text, prefix, top);
    if (level === null) continue;
    const p = Math.exp(logprob);
    weight += p;
    sum += p * level;
  }
  return weight > 0 ? sum / weight : null;
}

/** A weighted token's text. */
export interface WeightedText {
  readonly text: string;
  readonly weight: number;
}

interface TokenClass {
  readonly name: string;
  readonly test: (text: string) => boolean;
}

const CLASSES: readonly TokenClass[] = [
  { name: 'line breaks', test: (t) => /^\s*\n\s*$/u.test(t) },
  { name: 'white space', test: (t) => /^\s+$/u.test(t) },
  { name: 'numbers', test: (t) => /^\s*\p{N}+$/u.test(t) },
  { name: 'opening brackets', test: (t) => /^\s*[^\p{L}\p{N}]*[([{<]$/u.test(t) },
  { name: 'closing brackets', test: (t) => /^\s*[)\]}>][^\p{L}\p{N}]*$/u.test(t) },
  { name: 'punctuation', test: (t) => /^\s*[\p{P}\p{S}]+$/u.test(t) },
  { name: 'capital letters', test: (t) => /^\s*\p{Lu}+$/u.test(t) },
  { name: 'capitalised words', test: (t) => /^\s*\p{Lu}\p{Ll}+$/u.test(t) },
  { name: 'word pieces', test: (t) => /^\p{Ll}+$/u.test(t) },
];

/** Share of the weight a class must hold, and how many distinct words, before it is named. */
const SHARE = 0.9;
const DISTINCT = 4;

/**
 * What the tokens have in common, when nearly all of their weight shares it: digits, punctuation, case, a common beginning or
 * ending of at least two letters. Null when they share nothing of the kind.
 */
export function sharedClass(tokens: readonly WeightedText[]): string | null {
  const words = new Set(tokens.map(({ text }) => text.trim().toLowerCase()));
  if (words.size < DISTINCT) return null;
  const affix = sharedAffix(tokens);
  if (affix !== null) return affix;
  for (const { name, test } of CLASSES) if (holds(tokens, test)) return name;
  return null;
}

function sharedAffix(tokens: readonly WeightedText[]): string | null {
  const seed = tokens[0].text.trim().toLowerCase();
  if (!/^\p{L}{3,}$/u.test(seed)) return null;
  for (let length = Math.min(seed.length, 6); length >= 2; length--) {
    const beginning = seed.slice(0, length);
    const ending = seed.slice(-length);
    if (holds(tokens, (t) => t.trim().toLowerCase().startsWith(beginning))) return `words beginning with "${beginning}"`;
    if (holds(tokens, (t) => t.trim().toLowerCase().endsWith(ending))) return `words ending in "${ending}"`;
  }
  return null;
}

function holds(tokens: readonly WeightedText[], test: (text: string) => boolean): boolean {
  let all = 0;
  let inside = 0;
  for (const { text, weight } of tokens) {
    all += weight;
    if (test(text)) inside += weight;
  }
  return inside >= SHARE * all && all > 0;
}

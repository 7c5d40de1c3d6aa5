import { sharedClass } from './tokenClass.ts';
import type { WeightedText } from './tokenClass.ts';
import { quoted, sameWord, tokenWording } from './tokenWording.ts';

/**
 * Names a weighted set of tokens: the shared class with examples, or the strongest tokens. Spellings of one word (case, leading
 * space) are named once. Null when no token can be shown.
 * @param most tokens listed at most.
 */
export function tokenPhrase(tokens: readonly WeightedText[], most: number): string | null {
  const words = mergeSpellings(tokens);
  if (words.length === 0) return null;
  const kind = sharedClass(tokens);
  if (kind !== null) return `${kind} such as ${listed(words.slice(0, Math.min(3, most)), 'and')}`;
  const shown = words.slice(0, most);
  const rest = words.length - shown.length;
  return rest > 0 ? `${shown.join(', ')} and ${rest} other token${rest === 1 ? '' : 's'}` : listed(shown, 'or');
}

/** `a`, `a or b`, `a, b or c`. */
export function listed(items: readonly string[], conjunction: 'and' | 'or'): string {
  if (items.length <= 1) return items.join('');
  return `${items.slice(0, -1).join(', ')} ${conjunction} ${items.at(-1)}`;
}

/** Wordings by weight, strongest first; a word with several spellings is written without its leading space. */
export function mergeSpellings(tokens: readonly WeightedText[]): string[] {
  const words = new Map<string, { weight: number; best: WeightedText; spellings: Set<string> }>();
  for (const token of tokens) {
    const key = sameWord(token.text) || token.text;
    const word = words.get(key);
    if (word === undefined) {
      words.set(key, { weight: token.weight, best: token, spellings: new Set([token.text]) });
      continue;
    }
    word.weight += token.weight;
    word.spellings.add(token.text);
    if (token.weight > word.best.weight) word.best = token;
  }
  const ordered = [...words.values()].sort((a, b) => b.weight - a.weight);
  const wordings = ordered.flatMap(({ best, spellings }) => {
    const wording = tokenWording(best.text);
    if (wording === null) return [];
    return [spellings.size > 1 && best.text.trim() !== '' ? quoted(best.text.trim()) : wording];
  });
  return [...new Set(wordings)];
}

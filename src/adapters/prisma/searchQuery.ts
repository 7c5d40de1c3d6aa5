import { wordsOf } from './words.ts';

/** What someone typed, in the form the SQL takes. */
export interface SearchQuery {
  /** For websearch_to_tsquery: words, "phrases", -excluded, or; no other sign in it. */
  readonly text: string;
  /** Words looked for, lower case; empty when there are none. */
  readonly words: readonly string[];
  /** The excluded part of the text. */
  readonly excluded: string;
  /** Whether it ends in a plain word, which may still be being typed. */
  readonly endsInWord: boolean;
}

/** A quoted phrase (the closing quote may be missing) or a run of anything else, with a minus before it or not. */
const PART = /(-?)(?:"([^"]*)"?|([^\s"]+))/gu;

/** Signs separate words, as in the index: `a.b` is two words, `-a.b` excludes the phrase of both. */
export function parseQuery(typed: string): SearchQuery {
  const parts: string[] = [];
  const words: string[] = [];
  const excluded: string[] = [];
  let endsInWord = false;
  for (const [, minus, quoted, plain] of typed.matchAll(PART)) {
    const own = wordsOf(quoted ?? plain ?? '');
    endsInWord = false;
    if (own.length === 0) continue;
    const phrase = own.length > 1 && (quoted !== undefined || minus !== '');
    const part = `${minus}${phrase ? `"${own.join(' ')}"` : own.join(' ')}`;
    parts.push(part);
    if (minus === '') words.push(...own);
    else excluded.push(part);
    endsInWord = minus === '' && quoted === undefined && /[\p{L}\p{N}]$/u.test(typed);
  }
  const content = words.filter((word) => word !== 'or');
  return { text: parts.join(' '), words: content.length > 0 ? content : words, excluded: excluded.join(' '), endsInWord };
}

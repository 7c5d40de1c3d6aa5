import { wordsOf } from './words.ts';

/** What must hold together: each of `required`, none of `excluded`; several words in one entry are a phrase. */
export interface SearchAlternative {
  readonly required: readonly (readonly string[])[];
  readonly excluded: readonly (readonly string[])[];
}

/** What someone typed. */
export interface SearchQuery {
  /** One of them must hold; each requires something. None when nothing is looked for. */
  readonly alternatives: readonly SearchAlternative[];
  /** All words looked for, once each, lower case. */
  readonly words: readonly string[];
  /** Whether the last entry of the last alternative is a plain word, typed last. */
  readonly lastIsWord: boolean;
  /** Whether, besides, nothing follows it, not even a space: it may still be being typed. */
  readonly endsInWord: boolean;
  /** Whether such a word was followed by `*`. */
  readonly star: boolean;
}

/** A quoted phrase (the closing quote may be missing) or a run of anything else, with a minus before it or not. */
const PART = /(-?)(?:"([^"]*)"?|([^\s"]+))/gu;

/**
 * Reads words, "quoted phrases", -excluded and `or` between alternatives. Signs separate words, as in the index: `a.b` is two
 * words, `-a.b` excludes the phrase of both. An alternative that only excludes is left out: it would hold of nearly everything.
 */
export function parseQuery(typed: string): SearchQuery {
  const alternatives: { required: string[][]; excluded: string[][] }[] = [{ required: [], excluded: [] }];
  let ends = false;
  for (const [, minus, quoted, plain] of typed.matchAll(PART)) {
    const own = wordsOf(quoted ?? plain ?? '');
    const at = alternatives.at(-1)!;
    ends = false;
    if (own.length === 0) continue;
    if (minus !== '') at.excluded.push(own);
    else if (quoted !== undefined) at.required.push(own);
    else if (plain?.toLowerCase() === 'or') alternatives.push({ required: [], excluded: [] });
    else {
      at.required.push(...own.map((word) => [word]));
      ends = true;
    }
  }
  const looked = alternatives.filter(({ required }) => required.length > 0);
  // Nothing but "or" is a search for that word.
  if (looked.length === 0 && alternatives.length > 1) {
    looked.push({ required: [['or']], excluded: [] });
    ends = true;
  }
  const words = [...new Set(looked.flatMap(({ required }) => required.flat()))];
  return { alternatives: looked, words, lastIsWord: ends, endsInWord: ends && /[\p{L}\p{N}]$/u.test(typed), star: ends && /[\p{L}\p{N}]\*\s*$/u.test(typed) };
}

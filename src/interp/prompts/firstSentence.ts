/** Words before a full stop that end no sentence. */
const ABBREVIATION = /(?:^|[\s("'“])(?:e\.g|i\.e|etc|vs|cf|no|dr|mr|mrs|ms|st|approx|incl|esp|\p{L}|(?:\p{L}\.)+\p{L})\.$/iu;

const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '“': '”', '«': '»', '"': '"', '`': '`' };

/**
 * The first sentence of a text on one line. `whole` is false where nothing shows its end. A stop inside quotation marks or brackets
 * ends nothing, nor does one before a lower-case letter or after an abbreviation.
 */
export function firstSentence(text: string): { readonly sentence: string; readonly whole: boolean } {
  let closer: string | null = null;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (closer !== null) {
      // A quotation mark or bracket that is never closed closes nothing off.
      if (character === closer) closer = null;
      continue;
    }
    if (CLOSERS[character] !== undefined && text.includes(CLOSERS[character], i + 1)) {
      closer = CLOSERS[character];
      continue;
    }
    if (!'.!?。'.includes(character)) continue;
    const sentence = text.slice(0, i + 1);
    const rest = text.slice(i + 1);
    if (rest.trim() === '') return { sentence, whole: true };
    if (/^\s+["'“«(*]*[\p{Lu}\p{N}\p{Lo}]/u.test(rest) && !ABBREVIATION.test(sentence)) return { sentence, whole: true };
  }
  return { sentence: text, whole: false };
}

/** Words that leave a clause open. */
const DANGLING = /[\s,;:–—-]+(?:and|or|but|such as|such|including|like|e\.g\.?|i\.e\.?|especially|particularly|often|usually|typically|the|an?|of|in|on|to|for|with|by|from|that|which|where|when|as|is|are|about|related|between|other|its|their)$/iu;
/** Fewest words of a clause that says something. */
const CLAUSE_WORDS = 3;

/**
 * What is left of a sentence that was cut off, up to the last comma, semicolon or dash that stands outside quotation marks and
 * brackets; null when no whole clause is left.
 */
export function wholeClauses(cut: string): string | null {
  let kept = '';
  let closer: string | null = null;
  for (let i = 0; i < cut.length; i++) {
    const character = cut[i];
    if (closer !== null) {
      if (character === closer) closer = null;
    } else if (CLOSERS[character] !== undefined) closer = CLOSERS[character];
    else if (/[,;:–—]/u.test(character) && /^\s|^$/u.test(cut.slice(i + 1, i + 2))) kept = cut.slice(0, i);
  }
  kept = kept.trim();
  for (let shorter = kept.replace(DANGLING, ''); shorter !== kept; shorter = kept.replace(DANGLING, '')) kept = shorter.trim();
  return (kept.match(/[\p{L}\p{N}]+/gu) ?? []).length >= CLAUSE_WORDS ? kept : null;
}

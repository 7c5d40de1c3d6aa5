/** A run of letters and digits. */
const WORD = /[\p{L}\p{N}]+/gu;
/** Longer ones are data, not words. */
const MAX_LENGTH = 64;

/** The words of a text, lower case, in order. */
export function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(WORD) ?? []).filter((word) => word.length <= MAX_LENGTH);
}

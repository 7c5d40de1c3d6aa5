import { breakReserved } from './shownText.ts';

/** How a prompt tells of the marks. */
export const MARKS_EXPLAINED = 'Marked pieces of text stand between « and »; where a text has such signs of its own, a backslash stands before them.';

/**
 * Tokens as running text, every run of marked ones between « and ». `texts` as showFragment writes them, so that signs of the text
 * itself carry a backslash and no mark stands inside a character. « and » are in no reserved word of a chat format, which delphi's
 * << and >> would complete (a marked token "s" would read <<s>>, with a <s> in it).
 */
export function markedText(texts: readonly string[], marked: readonly boolean[]): string {
  const pieces = texts.map((text, i) => `${marked[i] && !marked[i - 1] ? '«' : ''}${text}${marked[i] && !marked[i + 1] ? '»' : ''}`);
  return breakReserved(pieces.join(''));
}

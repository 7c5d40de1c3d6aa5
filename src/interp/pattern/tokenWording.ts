/** Characters that say nothing to a reader or a search engine: replacement character, control and private-use code points. */
const ODD = /[\uFFFD\p{Cc}\p{Co}\p{Cn}]/u;

/**
 * How one token's text is written in a description: quoted as it stands (a leading space shows that it starts a word), white space
 * by name. Null when the text cannot be shown (part of a multi-byte character, control characters).
 */
export function tokenWording(text: string): string | null {
  if (text === '') return null;
  if (/^\s+$/u.test(text)) return whiteSpace(text);
  const trimmed = text.replaceAll(/[\r\n\t]+/gu, ' ');
  return ODD.test(trimmed) ? null : quoted(trimmed);
}

/** Text between quotation marks of a kind it does not contain. */
export function quoted(text: string): string {
  return text.includes('"') ? `'${text}'` : `"${text}"`;
}

/** The text two spellings of one word share: no surrounding space, lower case. */
export function sameWord(text: string): string {
  return text.trim().toLowerCase();
}

function whiteSpace(text: string): string {
  if (text.includes('\n')) return text.replaceAll('\r', '').length > 1 ? 'line breaks' : 'a line break';
  if (text.includes('\t')) return 'a tab';
  return text.length > 1 ? 'spaces' : 'a space';
}

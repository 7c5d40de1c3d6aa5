/** Where a match lies, in bytes of the text in UTF-8, as the server says. */
export interface Match {
  readonly start: number;
  readonly length: number;
}

const WORD = /[\p{L}\p{N}\p{M}]+/gu;

/** The text, safe inside an HTML element, with <mark> around every word that a match touches. */
export function highlight(text: string, matches: readonly Match[]): string {
  let marked = '';
  let done = 0;
  let bytes = 0;
  for (const word of text.matchAll(WORD)) {
    const between = text.slice(done, word.index);
    const start = bytes + Buffer.byteLength(between);
    const end = start + Buffer.byteLength(word[0]);
    const hit = matches.some((match) => match.start < end && match.start + match.length > start);
    marked += escapeHtml(between) + (hit ? `<mark>${escapeHtml(word[0])}</mark>` : escapeHtml(word[0]));
    done = word.index + word[0].length;
    bytes = end;
  }
  return marked + escapeHtml(text.slice(done));
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

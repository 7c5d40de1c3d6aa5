/** A passage is cut at the first blank line, else line end, after this many characters. */
const LONG_ENOUGH = 3000;
const AT_MOST = 6000;

/**
 * Cuts a long text into passages of a few thousand characters, at blank lines where there are any, so that a shuffled
 * corpus does not spend a whole stretch on one large file. The passages joined by nothing give the text back.
 */
export function passages(text: string): string[] {
  const cut: string[] = [];
  let from = 0;
  while (text.length - from > AT_MOST) {
    const window = text.slice(from, from + AT_MOST);
    const blank = window.indexOf('\n\n', LONG_ENOUGH);
    const line = window.lastIndexOf('\n');
    const length = blank >= 0 ? blank + 2 : line >= LONG_ENOUGH ? line + 1 : AT_MOST;
    cut.push(text.slice(from, from + length));
    from += length;
  }
  if (from < text.length) cut.push(text.slice(from));
  return cut;
}

/** Text safe inside an HTML element: &, < and > replaced. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const WORD = /[\p{L}\p{N}]+/gu;
/** Least share of common trigrams between a word and a word of the query. */
const ALIKE = 0.3;

/** The escaped description with <mark> around the words spelled like a word of the query. */
export function markSimilar(description: string, query: string): string {
  const wanted = (query.match(WORD) ?? []).map(trigrams);
  let marked = '';
  let at = 0;
  for (const match of description.matchAll(WORD)) {
    const own = trigrams(match[0]);
    if (!wanted.some((other) => similarity(own, other) >= ALIKE)) continue;
    marked += `${escapeHtml(description.slice(at, match.index))}<mark>${escapeHtml(match[0])}</mark>`;
    at = match.index + match[0].length;
  }
  return marked + escapeHtml(description.slice(at));
}

/** Trigrams as pg_trgm takes them: of the lower-case word with two spaces before and one after. */
function trigrams(word: string): Set<string> {
  const padded = `  ${word.toLowerCase()} `;
  return new Set(Array.from({ length: padded.length - 2 }, (_, i) => padded.slice(i, i + 3)));
}

function similarity(a: Set<string>, b: Set<string>): number {
  const common = a.intersection(b).size;
  return common / (a.size + b.size - common);
}

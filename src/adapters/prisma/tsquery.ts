import type { SearchQuery } from '../../domain/searchQuery.ts';

/** Stands for the last word while the text is compiled: no stemmer changes it. */
const MARK = '0prefix0';

/**
 * A query in the syntax of to_tsquery, whose words are letters and digits only. `choices` says which words may stand for one,
 * itself by default; with `marked`, the last required entry is left open for `withLexemes`.
 */
export function tsqueryText(query: SearchQuery, choices: ReadonlyMap<string, readonly string[]>, marked: boolean): string {
  const word = (own: string): string => either((choices.get(own) ?? [own]).map((choice) => `'${choice}'`));
  const entry = (words: readonly string[]): string => `(${words.map(word).join(' <-> ')})`;
  const plain = (words: readonly string[]): string => `!(${words.map((own) => `'${own}'`).join(' <-> ')})`;
  const last = query.alternatives.at(-1);
  const alternatives = query.alternatives.map((alternative) => {
    const { required, excluded } = alternative;
    const entries = required.map((words, i) => (marked && alternative === last && i === required.length - 1 ? `'${MARK}'` : entry(words)));
    return `(${[...entries, ...excluded.map(plain)].join(' & ')})`;
  });
  return alternatives.join(' | ');
}

/** A compiled query (tsquery as text) whose open entry may be any of these lexemes. */
export function withLexemes(compiled: string, lexemes: readonly string[]): string {
  return compiled.replace(`'${MARK}'`, () => either(lexemes.map((lexeme) => `'${lexeme.replaceAll(/['\\]/g, '$&$&')}'`)));
}

function either(choices: readonly string[]): string {
  return choices.length === 1 ? choices[0]! : `(${choices.join(' | ')})`;
}

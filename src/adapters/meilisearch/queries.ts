import { CallerError } from '../../domain/errors.ts';
import type { SearchAlternative, SearchQuery } from '../../domain/searchQuery.ts';
import type { SearchFilter, SearchMatched } from '../../ports/FeatureSearch.ts';
import { IS_EXPLANATION, MOST_WORDS } from './settings.ts';

/** Ways of asking by words. */
export type WordsMode = Exclude<SearchMatched, 'semantic'>;

/** Alternatives that are asked for together. */
const MOST_ALTERNATIVES = 10;

/**
 * What is asked for an alternative. The server corrects spelling and completes the last word wherever it can; a quoted word it
 * takes as it is. A word with synonyms is not quoted, or they would not count; a space at the end says that the last word is whole.
 */
export function queryText({ required, excluded }: SearchAlternative, mode: WordsMode, synonyms: ReadonlySet<string>, last: boolean): string {
  const words = required.map((own, i) => {
    const [word] = own;
    if (own.length > 1 || word === undefined) return quoted(own);
    if (mode === 'similar' || synonyms.has(word) || (mode === 'prefix' && last && i === required.length - 1)) return word;
    return quoted(own);
  });
  const end = words.at(-1) ?? '';
  const unique = [...new Set(words.filter((word) => word !== end)), end];
  const text = [...excluded.map((own) => `-${quoted(own)}`), ...unique].join(' ');
  return mode === 'prefix' && last ? text : `${text} `;
}

/** All alternatives; refuses what the server would silently cut short. */
export function queryTexts({ alternatives }: SearchQuery, mode: WordsMode, synonyms: ReadonlySet<string>): readonly string[] {
  for (const { required } of alternatives) {
    const parts = new Set(required.map((words) => words.join(' '))).size;
    if (parts > MOST_WORDS) throw new CallerError('UNSUPPORTED', `Meilisearch reads ${MOST_WORDS} words of a query, and this one has ${parts}`);
  }
  if (alternatives.length > MOST_ALTERNATIVES) throw new CallerError('UNSUPPORTED', `the query has ${alternatives.length} alternatives: Meilisearch is asked for ${MOST_ALTERNATIVES} at most`);
  return alternatives.map((alternative, i) => queryText(alternative, mode, synonyms, i === alternatives.length - 1));
}

/** The filter's conditions in the server's language; all hold before anything is ranked or counted. */
export function filterText({ dictionaryIds, explainers, minScore }: SearchFilter): string {
  const conditions = [IS_EXPLANATION];
  if (dictionaryIds !== null) conditions.push(`dictionaryId IN [${dictionaryIds.join(', ')}]`);
  if (explainers !== null) conditions.push(`explainer IN [${explainers.map(literal).join(', ')}]`);
  if (minScore !== null) conditions.push(`bestScore >= ${minScore}`);
  return conditions.join(' AND ');
}

const quoted = (words: readonly string[]): string => `"${words.join(' ')}"`;
const literal = (text: string): string => `"${text.replaceAll(/["\\]/g, (sign) => `\\${sign}`)}"`;

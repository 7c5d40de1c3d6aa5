import type { CatalogReader } from '../ports/CatalogReader.ts';

/** Something of this catalog to show in example operations. */
export interface ExampleSubject {
  readonly model: string;
  readonly dictionary: string;
  readonly index: number;
  /** A word that a search finds. */
  readonly word: string;
  /** A text on which the feature fires. */
  readonly text: string;
}

/** Shown while the catalog is empty, and to those who may not read it. */
const PLACEHOLDER: ExampleSubject = { model: 'pythia-70m', dictionary: '2-tied-r2', index: 0, word: 'name', text: 'Mary gave the book to John.' };

/** The best explained feature of the first dictionary, with a word of its explanation and its strongest exemplar's text. null = a reader of nothing. */
export async function exampleSubject(reader: CatalogReader | null): Promise<ExampleSubject> {
  if (reader === null) return PLACEHOLDER;
  const [dictionary] = await reader.dictionaries({});
  if (dictionary === undefined) return PLACEHOLDER;
  const page = await reader.featurePage({ dictionaryIds: [dictionary.id] }, 'SCORE_DESC', 1, null);
  const { model, name } = dictionary;
  const [feature] = page.rows;
  if (feature === undefined) return { ...PLACEHOLDER, model, dictionary: name };
  const [[explanations = []], [exemplars = []]] = await Promise.all([reader.explanations([feature]), reader.exemplars([feature], ['top'], 1)]);
  const tokens = await reader.tokens(model, exemplars[0]?.ids ?? []);
  const text = tokens.map((token) => token ?? '').join('').trim();
  return {
    model,
    dictionary: name,
    index: feature.index,
    word: longestWord(explanations[0]?.description ?? '') ?? PLACEHOLDER.word,
    text: text === '' ? PLACEHOLDER.text : text,
  };
}

function longestWord(text: string): string | undefined {
  return (text.match(/\p{L}{3,20}/gu) ?? []).sort((a, b) => b.length - a.length)[0];
}

import assert from 'node:assert/strict';
import { CallerError } from '../../src/domain/errors.ts';
import type { FeatureSearch, SearchHit, SearchPage, SearchRequest } from '../../src/ports/FeatureSearch.ts';

/** What every adapter of FeatureSearch must do, over the descriptions below. Dictionary 0 and 1 stand for two dictionaries. */
export interface SearchDocument {
  readonly dictionary: 0 | 1;
  readonly index: number;
  readonly explainer: string;
  readonly description: string;
  /** simulation-top-random; null = undefined. */
  readonly score: number | null;
}

const doc = (dictionary: 0 | 1, index: number, description: string, score: number | null, explainer = 'pattern-v1'): SearchDocument => ({ dictionary, index, explainer, description, score });

export const DOCUMENTS: readonly SearchDocument[] = [
  doc(0, 0, 'closing parenthesis after a list of names', 0.75),
  doc(0, 1, 'opening parenthesis in code', 0.25),
  doc(0, 2, 'names of cities in Germany', 0.5),
  doc(0, 3, 'the word "the" before a noun', null),
  doc(0, 4, 'HTML tags such as <div class="x"> & entities like &amp;', 0.5),
  doc(0, 5, '<script>alert(1)</script> in web pages', 0.125),
  doc(0, 6, 'running and jumping verbs', 0.5),
  doc(0, 7, 'Überschriften auf Deutsch, naïve café', 0.5),
  doc(1, 0, 'closing brackets of arrays', 0.875),
  doc(1, 1, 'names of months', -0.5),
  doc(1, 2, 'cities and months together', 0.5),
  doc(1, 2, 'names of capital cities', 0.25, 'llm-v1'),
  doc(1, 3, 'snake_case identifiers and file paths /usr/lib', 0.5),
  // Many with the same words and score: ties across pages.
  ...Array.from({ length: 40 }, (_, i) => doc(i % 2 === 0 ? 0 : 1, 100 + i, 'generic punctuation marks', i % 4 === 0 ? 0.5 : null)),
];

export interface SearchUnderTest {
  readonly search: FeatureSearch;
  /** Ids of the two dictionaries. */
  readonly ids: readonly [number, number];
}

interface Found {
  readonly hits: readonly string[];
  readonly matched: string;
}

const request = (query: string, more: Partial<SearchRequest> = {}): SearchRequest => ({ query, prefix: null, dictionaryIds: null, explainers: null, minScore: null, first: 50, after: null, ...more });

async function find({ search, ids }: SearchUnderTest, query: string, more: Partial<SearchRequest> = {}): Promise<Found> {
  const { hits, matched } = await search.search(request(query, more));
  return { hits: hits.map((hit) => place(hit, ids)).sort(), matched };
}

const place = (hit: SearchHit, ids: readonly number[]): string => `${ids.indexOf(hit.dictionaryId)}/${hit.index}${hit.explainer === 'pattern-v1' ? '' : `/${hit.explainer}`}`;

const placeOf = ({ engine, hits }: SearchPage): SearchRequest['after'] => ({ engine, position: hits.at(-1)!.position });

/** query → places of all hits, and how they were found. */
const TABLE: readonly (readonly [query: string, hits: readonly string[], matched: 'words' | 'prefix' | 'similar'])[] = [
  ['parenthesis', ['0/0', '0/1'], 'words'],
  ['PARENTHESIS', ['0/0', '0/1'], 'words'],
  ['closing parenthesis', ['0/0'], 'words'],
  ['"opening parenthesis"', ['0/1'], 'words'],
  ['"parenthesis opening"', [], 'similar'],
  ['closing -parenthesis', ['1/0'], 'words'],
  ['closing -"parenthesis after"', ['1/0'], 'words'],
  ['opening or brackets', ['0/1', '1/0'], 'words'],
  ['names cities', ['0/2', '1/2/llm-v1'], 'words'],
  ['run', ['0/6'], 'words'],
  ['jump verb', ['0/6'], 'words'],
  ['the noun', ['0/3'], 'words'],
  ['paren', ['0/0', '0/1'], 'prefix'],
  ['closing bra', ['1/0'], 'prefix'],
  ['div', ['0/4'], 'words'],
  ['<div>', ['0/4'], 'words'],
  ['script alert', ['0/5'], 'words'],
  ['überschriften', ['0/7'], 'words'],
  ['café', ['0/7'], 'words'],
  ['usr/lib', ['1/3'], 'words'],
  ['lib', ['1/3'], 'words'],
  ['snake_case', ['1/3'], 'words'],
  ['names -of.cities', ['0/0', '1/1', '1/2/llm-v1'], 'words'],
  ['identifiers', ['1/3'], 'words'],
  ['parenthsis', ['0/0', '0/1'], 'similar'],
  ['germny', ['0/2'], 'similar'],
  ['identifierz', ['1/3'], 'similar'],
  ['parenthsis -opening', ['0/0'], 'similar'],
  ['zzzzqqq', [], 'similar'],
];

export const CASES: Readonly<Record<string, (subject: SearchUnderTest) => Promise<void>>> = {
  'finds what the table says': async (subject) => {
    for (const [query, hits, matched] of TABLE) {
      const found = await find(subject, query);
      if (query === '"parenthesis opening"') assert.equal(found.matched, matched, query);
      else assert.deepEqual(found, { hits: [...hits].sort(), matched }, query);
    }
  },

  'filters by dictionary and score before counting': async (subject) => {
    const [a, b] = subject.ids;
    assert.deepEqual((await find(subject, 'names', { dictionaryIds: [a] })).hits, ['0/0', '0/2']);
    assert.deepEqual((await find(subject, 'names', { dictionaryIds: [a, b], minScore: 0.5 })).hits, ['0/0', '0/2']);
    assert.deepEqual((await find(subject, 'names', { minScore: -1, dictionaryIds: [b] })).hits, ['1/1', '1/2/llm-v1']);
    assert.deepEqual((await find(subject, 'names', { dictionaryIds: [] })).hits, []);
    const page = await subject.search.search(request('punctuation', { dictionaryIds: [b], first: 20 }));
    assert.deepEqual([page.hits.length, page.hasNext], [20, false]);
  },

  'puts the better explained first among equal matches': async ({ search, ids }) => {
    const { hits } = await search.search(request('closing'));
    assert.equal(place(hits[0]!, ids), '1/0');
    const { hits: marks } = await search.search(request('punctuation', { first: 10 }));
    assert.ok(marks.every((hit) => hit.index % 4 === 0), marks.map((hit) => hit.index).join());
    for (const [i, hit] of marks.entries()) assert.ok(i === 0 || hit.relevance <= marks[i - 1]!.relevance);
  },

  'pages without loss or repetition, however small, by words and by spelling': async ({ search, ids }) => {
    for (const [query, count, matched] of [['punctuation', 40, 'words'], ['punctuashion', 40, 'similar']] as const) {
      const whole = await search.search(request(query));
      assert.equal(whole.matched, matched);
      assert.equal(whole.hits.length, count, query);
      for (const first of [1, 7, 40]) {
        const seen: string[] = [];
        let after: SearchRequest['after'] = null;
        for (;;) {
          const page = await search.search(request(query, { first, after }));
          assert.equal(page.matched, matched);
          seen.push(...page.hits.map((hit) => place(hit, ids)));
          if (!page.hasNext) break;
          assert.equal(page.hits.length, first);
          after = placeOf(page);
        }
        assert.deepEqual(seen, whole.hits.map((hit) => place(hit, ids)), `${query} by ${first}`);
      }
      const past = await search.search(request(query, { after: placeOf(whole) }));
      assert.deepEqual([past.hits, past.hasNext, past.matched], [[], false, matched]);
    }
  },

  'marks what matched, and escapes everything else': async ({ search }) => {
    const first = async (query: string): Promise<string> => (await search.search(request(query))).hits[0]!.highlight;
    assert.equal(await first('"closing parenthesis"'), '<mark>closing</mark> <mark>parenthesis</mark> after a list of names');
    assert.equal(await first('entities'), 'HTML tags such as &lt;div class="x"&gt; &amp; <mark>entities</mark> like &amp;amp;');
    assert.equal(await first('alert'), '&lt;script&gt;<mark>alert</mark>(1)&lt;/script&gt; in web pages');
    assert.equal(await first('jumped'), 'running and <mark>jumping</mark> verbs');
    assert.equal(await first('germny'), 'names of cities in <mark>Germany</mark>');
    assert.match(await first('script pagess'), /^&lt;<mark>script<\/mark>&gt;alert\(1\)&lt;.*script.*&gt; in web <mark>pages<\/mark>$/);
  },

  'refuses what names nothing, and takes anything else without failing': async ({ search }) => {
    for (const query of ['', '   ', '-closing', '-"a b" -c', '""', '()', '\0', "'", '%_', 'x'.repeat(900)]) {
      await assert.rejects(search.search(request(query)), (error: unknown) => error instanceof CallerError && error.code === 'BAD_INPUT', JSON.stringify(query));
    }
    await assert.rejects(search.search(request('x'.repeat(5000))), (error: unknown) => error instanceof CallerError && error.code === 'LIMIT_EXCEEDED');
    for (const query of ["a'b", "closing'", 'a & | ! <-> b', 'foo:*', '"unclosed phrase', 'x OR', 'or', 'a-b-c', 'a\\', 'ab\0c', '🎈 x', "closing ')", '(closing', 'http://a.b/c?d=e', 'a '.repeat(400)]) {
      await search.search(request(query));
    }
  },
};

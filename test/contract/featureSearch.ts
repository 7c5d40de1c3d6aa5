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
  /** What the engine can do; all when absent. */
  readonly traits?: {
    /** Finds other forms of a word: "run" finds "running". */
    readonly stems: boolean;
    /** Says whether whole words or the beginning of one matched. */
    readonly tellsPrefix: boolean;
  };
}

interface Found {
  readonly hits: readonly string[];
  readonly matched: string;
}

const request = (query: string, more: Partial<SearchRequest> = {}): SearchRequest => ({ query, prefix: null, dictionaryIds: null, explainers: null, minScore: null, first: 50, after: null, ...more });

async function find({ search, ids, traits }: SearchUnderTest, query: string, more: Partial<SearchRequest> = {}): Promise<Found> {
  const { hits, matched } = await search.search(request(query, more));
  return { hits: hits.map((hit) => place(hit, ids)).sort(), matched: matched === 'prefix' && traits?.tellsPrefix === false ? 'words' : matched };
}

type Matched = 'words' | 'prefix' | 'similar';
const told = ({ traits }: SearchUnderTest, matched: Matched): Matched => (matched === 'prefix' && traits?.tellsPrefix === false ? 'words' : matched);

const place = (hit: SearchHit, ids: readonly number[]): string => `${ids.indexOf(hit.dictionaryId)}/${hit.index}${hit.explainer === 'pattern-v1' ? '' : `/${hit.explainer}`}`;

const placeOf = ({ engine, hits }: SearchPage): SearchRequest['after'] => ({ engine, position: hits.at(-1)!.position });

/** query → places of all hits, how they were found, and what an engine must be able to do for it. */
const TABLE: readonly (readonly [query: string, hits: readonly string[], matched: Matched, needs?: 'stems'])[] = [
  ['parenthesis', ['0/0', '0/1'], 'words'],
  ['PARENTHESIS', ['0/0', '0/1'], 'words'],
  ['closing parenthesis', ['0/0'], 'words'],
  ['"opening parenthesis"', ['0/1'], 'words'],
  ['"parenthesis opening"', [], 'similar'],
  ['closing -parenthesis', ['1/0'], 'words'],
  ['closing -"parenthesis after"', ['1/0'], 'words'],
  ['opening or brackets', ['0/1', '1/0'], 'words'],
  ['names cities', ['0/2', '1/2/llm-v1'], 'words'],
  ['run', ['0/6'], 'words', 'stems'],
  ['jump verb', ['0/6'], 'words', 'stems'],
  ['the noun', ['0/3'], 'words'],
  ['paren', ['0/0', '0/1'], 'prefix'],
  ['closing bra', ['1/0'], 'prefix'],
  ['paren*', ['0/0', '0/1'], 'prefix'],
  ['open*', ['0/1'], 'prefix'],
  ['cit* ', ['0/2', '1/2', '1/2/llm-v1'], 'prefix'],
  ['generic punct', Array.from({ length: 40 }, (_, i) => `${i % 2}/${100 + i}`), 'prefix'],
  ['brackets or germ', ['1/0'], 'words'],
  ['brackets or germ*', ['0/2', '1/0'], 'prefix'],
  ['names -months cap', ['1/2/llm-v1'], 'prefix'],
  ['"names of cap', [], 'similar'],
  ['opening or -closing', ['0/1'], 'words'],
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
    for (const [query, hits, matched, needs] of TABLE) {
      if (needs === 'stems' && subject.traits?.stems === false) continue;
      const found = await find(subject, query);
      // What spelling may stand for a phrase is the engine's.
      if (hits.length === 0 && query.startsWith('"')) assert.equal(found.matched, matched, query);
      else assert.deepEqual(found, { hits: [...hits].sort(), matched: told(subject, matched) }, query);
    }
  },

  'takes the last word for a beginning when told to, and only then': async (subject) => {
    assert.deepEqual(await find(subject, 'clos', { prefix: true }), { hits: ['0/0', '1/0'], matched: told(subject, 'prefix') });
    assert.deepEqual(await find(subject, 'names of ci ', { prefix: true }), { hits: ['0/2', '1/2/llm-v1'], matched: told(subject, 'prefix') });
    assert.equal((await find(subject, 'parenthe', { prefix: false })).matched, 'similar');
    // A phrase has no beginning.
    assert.deepEqual(await find(subject, '"closing parenthesis"', { prefix: true }), { hits: ['0/0'], matched: 'words' });
  },

  'filters by explainer': async (subject) => {
    assert.deepEqual((await find(subject, 'names', { explainers: ['llm-v1'] })).hits, ['1/2/llm-v1']);
    assert.deepEqual((await find(subject, 'names', { explainers: ['llm-v1', 'pattern-v1'] })).hits, ['0/0', '0/2', '1/1', '1/2/llm-v1']);
    assert.deepEqual((await find(subject, 'names', { explainers: ['nobody'] })).hits, []);
    assert.deepEqual((await find(subject, 'names', { explainers: [] })).hits, []);
  },

  'says who answered and how many match': async ({ search }) => {
    for (const [query, first, count] of [['names', 2, 4], ['punctuation', 7, 40], ['zzzzqqq', 5, 0]] as const) {
      const page = await search.search(request(query, { first }));
      assert.deepEqual([page.total?.value, page.order, page.fallback], [count, 'relevance', null], query);
      // How many words are spelled similarly may be the engine's guess.
      if (page.matched === 'words') assert.equal(page.total?.exact, true, query);
      assert.ok(page.engine === 'postgres' || page.engine === 'meilisearch');
    }
  },

  'counts all matches by dictionary and explainer': async ({ search, ids: [a, b] }) => {
    const counted = async (query: string, more: Partial<SearchRequest> = {}): Promise<unknown> => {
      const asked = request(query, { ...more, first: 1 });
      const { matched, engine } = await search.search(asked);
      const facets = await search.facets(asked, { matched, engine });
      assert.equal(facets.engine, engine);
      if (matched === 'words') assert.equal(facets.exact, true, query);
      return [Object.fromEntries(facets.dictionaries.map(({ dictionaryId, count }) => [dictionaryId === a ? 'a' : 'b', count])), Object.fromEntries(facets.explainers.map(({ explainer, count }) => [explainer, count]))];
    };
    assert.deepEqual(await counted('names'), [{ a: 2, b: 2 }, { 'pattern-v1': 3, 'llm-v1': 1 }]);
    assert.deepEqual(await counted('names', { dictionaryIds: [b], explainers: ['llm-v1'] }), [{ b: 1 }, { 'llm-v1': 1 }]);
    assert.deepEqual(await counted('punctuation', { minScore: 0.5 }), [{ a: 10 }, { 'pattern-v1': 10 }]);
    assert.deepEqual(await counted('clos*'), [{ a: 1, b: 1 }, { 'pattern-v1': 2 }]);
    assert.deepEqual(await counted('punctuashion'), [{ a: 20, b: 20 }, { 'pattern-v1': 40 }]);
    assert.deepEqual(await counted('zzzzqqq'), [{}, {}]);
  },

  'refuses positions it did not give': async ({ search }) => {
    const { engine, hits } = await search.search(request('names', { first: 1 }));
    const { position } = hits[0]!;
    const bad: SearchRequest['after'][] = [
      { engine, position: [] },
      { engine, position: ['x'] },
      { engine, position: position.slice(1) },
      { engine, position: position.map((value) => (typeof value === 'number' ? value + 0.5 : `${value}x`)) },
      { engine, position: position.map((value) => (typeof value === 'number' ? -1e300 : value)) },
    ];
    for (const after of bad) {
      await assert.rejects(search.search(request('names', { after })), (error: unknown) => error instanceof CallerError && error.code === 'BAD_CURSOR', JSON.stringify(after));
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

  'marks what matched, and escapes everything else': async ({ search, traits }) => {
    const first = async (query: string): Promise<string> => (await search.search(request(query))).hits[0]!.highlight;
    assert.equal(await first('"closing parenthesis"'), '<mark>closing</mark> <mark>parenthesis</mark> after a list of names');
    assert.equal(await first('entities'), 'HTML tags such as &lt;div class="x"&gt; &amp; <mark>entities</mark> like &amp;amp;');
    assert.equal(await first('alert'), '&lt;script&gt;<mark>alert</mark>(1)&lt;/script&gt; in web pages');
    if (traits?.stems !== false) assert.equal(await first('jumped'), 'running and <mark>jumping</mark> verbs');
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

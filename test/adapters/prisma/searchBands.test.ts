import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantile, shareBefore } from '../../../src/adapters/prisma/searchStatistics.ts';
import { END, roundedEnd, windowKeys } from '../../../src/adapters/prisma/searchKeys.ts';
import type { ExplainOutcome } from '../../../src/domain/feature.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { SearchHit, SearchRequest } from '../../../src/ports/FeatureSearch.ts';
import { MODEL, TOKENS, makeConfig, makeExplanation, makeFeature, makeLoad, stream } from '../../helpers/catalogData.ts';
import { withCatalog, type TestCatalog } from '../../helpers/withCatalog.ts';

const PER_DICTIONARY = 3000;
const NAMES = ['0-a', '1-a'];
const FILLERS = ['alpha', 'beta', 'gamma', 'delta', 'kappa', 'lambda'];

interface Document {
  readonly dictionary: number;
  readonly index: number;
  readonly description: string;
  readonly score: number | null;
}

/** `comma` in nearly all, `bracket` in a third, `rare` in one of a hundred, all with scores that tie often; a third has none. */
const DOCUMENTS: readonly Document[] = (() => {
  const rng = new Rng(7);
  return NAMES.flatMap((_, dictionary) =>
    Array.from({ length: PER_DICTIONARY }, (__, index) => {
      const words = [rng.int(20) > 0 ? 'comma' : 'colon', ...(rng.int(3) === 0 ? ['bracket'] : []), ...(rng.int(100) === 0 ? ['rare'] : []), ...Array.from({ length: rng.int(6) }, () => rng.pick(FILLERS))];
      return { dictionary, index, description: rng.shuffle(words).join(' '), score: rng.int(3) === 0 ? null : Math.round(rng.normal() * 20 + 30) / 100 };
    }),
  );
})();

async function load({ writer, reader, sql }: TestCatalog, analyse: boolean): Promise<readonly number[]> {
  await writer.loadModel(MODEL, TOKENS);
  for (const [dictionary, name] of NAMES.entries()) {
    const explanations: ExplainOutcome[] = DOCUMENTS.filter((document) => document.dictionary === dictionary).map(({ index, description, score }) => makeExplanation(index, description, score, index % 10 === 0 ? 'llm-v1' : 'pattern-v1'));
    const features = stream(Array.from({ length: PER_DICTIONARY }, (_, index) => makeFeature(index, { exemplars: [] })));
    await writer.loadDictionary(makeLoad(name, PER_DICTIONARY, explanations, { config: makeConfig(name, PER_DICTIONARY), features }));
  }
  if (analyse) await sql('ANALYZE explanation');
  return (await reader.dictionaries({})).map(({ id }) => id);
}

const request = (query: string, more: Partial<SearchRequest> = {}): SearchRequest => ({ query, prefix: false, dictionaryIds: null, explainers: null, minScore: null, first: 50, after: null, ...more });

/** Every hit of a search, page by page; checks what each page says. */
async function everything({ search }: TestCatalog, asked: SearchRequest): Promise<{ readonly hits: readonly SearchHit[]; readonly order: string }> {
  const hits: SearchHit[] = [];
  let after: SearchRequest['after'] = null;
  for (;;) {
    const page = await search.search({ ...asked, after });
    hits.push(...page.hits);
    if (!page.hasNext) return { hits, order: page.order };
    assert.equal(page.hits.length, asked.first);
    after = { engine: page.engine, position: page.hits.at(-1)!.position };
  }
}

/** Level of a score in the order of bands. */
const level = (score: number | null): number => 1000 - Math.round(1000 * Math.min(1, Math.max(0, score ?? 0)));

for (const analyse of [true, false]) {
  test(`bands: every match once, in order, ${analyse ? 'with statistics' : 'with statistics of the first dictionary at most'}`, () =>
    withCatalog(async (catalog) => {
      const ids = await load(catalog, analyse);
      const cases: readonly (readonly [asked: SearchRequest, matches: (document: Document) => boolean, order: 'bands' | 'relevance' | null])[] = [
        [request('comma'), ({ description }) => description.includes('comma'), 'bands'],
        [request('comma', { first: 7, minScore: 0.5 }), ({ description, score }) => description.includes('comma') && score !== null && score >= 0.5, 'bands'],
        [request('comma', { dictionaryIds: [ids[1]!], minScore: -0.1 }), ({ description, dictionary, score }) => dictionary === 1 && description.includes('comma') && score !== null && score >= -0.1, null],
        [request('comma bracket', { first: 100 }), ({ description }) => description.includes('comma') && description.includes('bracket'), 'bands'],
        [request('comma -bracket', { explainers: ['llm-v1'] }), ({ description, index }) => index % 10 === 0 && description.includes('comma') && !description.includes('bracket'), null],
        [request('"comma bracket"'), ({ description }) => description.includes('comma bracket'), null],
        [request('"bracket comma" or colon'), ({ description }) => description.includes('bracket comma') || description.includes('colon'), null],
        [request('rare', { first: 9 }), ({ description }) => description.includes('rare'), 'relevance'],
        [request('comm', { prefix: true, first: 100 }), ({ description }) => description.includes('comma'), 'bands'],
        [request('comna bracket'), ({ description }) => description.includes('comma') && description.includes('bracket'), null],
      ];
      for (const [asked, matches, order] of cases) {
        const found = await everything(catalog, asked);
        const key = (dictionary: number, index: number): string => `${dictionary}/${index}`;
        const places = found.hits.map((hit) => key(ids.indexOf(hit.dictionaryId), hit.index));
        assert.deepEqual([...places].sort(), DOCUMENTS.filter(matches).map(({ dictionary, index }) => key(dictionary, index)).sort(), asked.query);
        if (order !== null) assert.equal(found.order, order, asked.query);
        checkOrder(found, new Map(DOCUMENTS.map((document) => [key(document.dictionary, document.index), document])), places);
      }
      for (const [query, expected] of [['comma', 5700], ['comma bracket', 1900]] as const) {
        const { total } = await catalog.search.search(request(query));
        if (analyse) assert.ok(total !== null && !total.exact && Math.abs(total.value - expected) < 0.2 * expected, `${query}: ${total?.value}`);
      }
      const facets = await catalog.search.facets(request('comma'), { matched: 'words', engine: 'postgres' });
      const counts = facets.dictionaries.map(({ count }) => count);
      assert.ok(!facets.exact && counts.length === 2 && counts.every((count) => Math.abs(count - 2850) < 600), counts.join());
    }));
}

/** Relevance falls throughout, or within each window, of which a later one holds no better explained feature than an earlier one. */
function checkOrder({ hits, order }: { readonly hits: readonly SearchHit[]; readonly order: string }, documents: ReadonlyMap<string, Document>, places: readonly string[]): void {
  const levels = places.map((place) => level(documents.get(place)!.score));
  let before = -1;
  for (let i = 0; i < hits.length; ) {
    const window = hits[i]!.position.slice(1, 3).join();
    let end = i;
    while (end < hits.length && hits[end]!.position.slice(1, 3).join() === window) end++;
    for (let j = i + 1; j < end; j++) assert.ok(hits[j]!.relevance <= hits[j - 1]!.relevance);
    if (order === 'bands') assert.ok(Math.min(...levels.slice(i, end)) >= before);
    before = Math.max(...levels.slice(i, end));
    i = end;
  }
}

test('a window is the blocks it names, each once, and few', () => {
  const sizes = [36, 31, 26, 21, 16].map((bits) => 2 ** bits);
  const rng = new Rng(3);
  for (let n = 0; n < 500; n++) {
    const from = Math.floor(rng.next() * (END / 2 ** 16)) * 2 ** 16;
    const to = roundedEnd(from, from + 2 ** (16 + rng.next() * 26));
    const blocks = windowKeys({ from, to }).map((key) => ({ at: Math.floor(key / 8) * sizes[key % 8]!, size: sizes[key % 8]! }));
    let at = from;
    for (const block of blocks) {
      assert.equal(block.at, at);
      at += block.size;
    }
    assert.equal(at, to);
    assert.ok(blocks.length <= 300, `${from} ${to}: ${blocks.length}`);
  }
});

test('shares and quantiles of a distribution are each other\'s inverse', () => {
  const bounds = [0, 10, 11, 50, 100];
  for (const [value, share] of [[0, 0], [5, 0.125], [10, 0.25], [11, 0.5], [50, 0.75], [75, 0.875], [100, 1]] as const) {
    assert.equal(shareBefore(bounds, value), share);
    assert.equal(quantile(bounds, share), value);
  }
  assert.equal(quantile(bounds, 2), 100);
});

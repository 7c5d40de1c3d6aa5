import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeilisearchSearch } from '../../src/adapters/meilisearch/MeilisearchSearch.ts';
import { searchWithFallback } from '../../src/catalog/searchWithFallback.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { FeatureSearch, SearchRequest } from '../../src/ports/FeatureSearch.ts';
import { MEILI_FAULTS, withFaultyMeili, type FaultyMeili } from '../helpers/meiliFaults.ts';
import { seedCatalog } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';

const KEY = 'a-very-secret-key';
const request = (more: Partial<SearchRequest> = {}): SearchRequest => ({ query: 'giraffe', prefix: null, dictionaryIds: null, explainers: null, minScore: null, first: 3, after: null, ...more });

interface Composed {
  readonly catalog: TestCatalog;
  readonly server: FaultyMeili;
  readonly search: FeatureSearch;
  readonly reasons: string[];
  /** The breaker's clock, ms. */
  readonly clock: { now: number };
}

/** Meilisearch at a faulty server, PostgreSQL behind it. */
function composed(work: (parts: Composed) => Promise<void>): Promise<void> {
  return withCatalog(async (catalog) => {
    await seedCatalog(catalog.writer, { features: 24 });
    await withFaultyMeili(async (server) => {
      const id = await catalog.outbox.catalogId();
      server.catalog = id;
      const reasons: string[] = [];
      const clock = { now: 0 };
      const preferred = new MeilisearchSearch({ url: server.url, key: KEY, searchTimeoutMs: 500, catalog: () => Promise.resolve(id) });
      const search = searchWithFallback({ preferred, catalog: catalog.search, now: () => clock.now, restMs: 1000, onFallback: (reason) => reasons.push(reason) });
      await work({ catalog, server, search, reasons, clock });
    });
  });
}

test('whatever Meilisearch does wrong, PostgreSQL answers and says why; the key and what the server wrote are never shown', () =>
  composed(async ({ catalog, server, search, reasons, clock }) => {
    const expected = await catalog.search.search(request());
    assert.equal(expected.hits.length, 3);
    for (const onlySearch of [false, true]) {
      server.onlySearch = onlySearch;
      for (const fault of MEILI_FAULTS) {
        if (onlySearch && fault === 'other-catalog') continue;
        server.fault = fault;
        clock.now += 10_000;
        const before = server.requests;
        const page = await search.search(request());
        assert.ok(server.requests > before, `${fault}: was asked`);
        assert.deepEqual(page, { ...expected, fallback: page.fallback }, fault);
        assert.ok(page.fallback !== null && page.fallback.length > 10, fault);
        assert.doesNotMatch(page.fallback, /secret|welcome/, fault);
      }
    }
    assert.ok(new Set(reasons).size >= 6, `reasons tell failures apart: ${[...new Set(reasons)].join(' | ')}`);
    assert.deepEqual([...server.keys], [`Bearer ${KEY}`]);
  }));

test('a server that is not there', () =>
  withCatalog(async (catalog) => {
    await seedCatalog(catalog.writer, { features: 16 });
    let url = '';
    await withFaultyMeili(async (server) => {
      url = server.url;
      await Promise.resolve();
    });
    const search = searchWithFallback({ preferred: new MeilisearchSearch({ url, key: undefined, catalog: () => catalog.outbox.catalogId() }), catalog: catalog.search });
    const page = await search.search(request());
    assert.equal(page.engine, 'postgres');
    assert.match(page.fallback ?? '', /cannot be reached/);
  }));

test('a server that failed is left alone for a while, then asked by one query', () =>
  composed(async ({ server, search, clock }) => {
    server.fault = 'status-500';
    await search.search(request());
    const after = server.requests;
    await Promise.all([1, 2, 3, 4].map(() => search.search(request())));
    assert.equal(server.requests, after, 'resting');
    clock.now = 1000;
    await Promise.all([1, 2, 3, 4].map(() => search.search(request())));
    assert.equal(server.requests, after + 1, 'one tries');
    server.fault = null;
    clock.now = 3000;
    const page = await search.search(request());
    assert.deepEqual([page.engine, page.fallback, page.hits.length], ['meilisearch', null, 0]);
  }));

test('a list goes on where it began, or is refused', () =>
  composed(async ({ catalog, server, search, clock }) => {
    server.fault = 'status-500';
    const first = await search.search(request());
    const position = first.hits.at(-1)!.position;
    server.fault = null;
    clock.now = 5000;
    const second = await search.search(request({ after: { engine: 'postgres', position } }));
    assert.equal(second.engine, 'postgres');
    assert.match(second.fallback ?? '', /began in PostgreSQL/);
    assert.deepEqual(second.hits, (await catalog.search.search(request({ after: { engine: 'postgres', position } }))).hits);

    server.fault = 'hang';
    await assert.rejects(
      search.search(request({ after: { engine: 'meilisearch', position: ['words', 3, 'g'] } })),
      (error: unknown) => error instanceof CallerError && error.code === 'BAD_CURSOR' && /no answer within 500 ms/.test(error.message),
    );
    server.fault = null;
    clock.now += 5000;
    for (const bad of [[], ['words', 0, 'g'], ['words', 1.5, 'g'], ['xx', 1, 'g'], ['words', 1, 2], ['words', 1, 'g', 1]]) {
      await assert.rejects(search.search(request({ after: { engine: 'meilisearch', position: bad } })), (error: unknown) => error instanceof CallerError && error.code === 'BAD_CURSOR', JSON.stringify(bad));
    }
    // Nothing there, and the index is of another building than the cursor.
    await assert.rejects(search.search(request({ after: { engine: 'meilisearch', position: ['words', 3, 'old'] } })), /built anew/);
  }));

test("the caller's mistakes are told, and are no failure of the server; what Meilisearch cannot take PostgreSQL does", () =>
  composed(async ({ server, search }) => {
    await assert.rejects(search.search(request({ query: '-giraffe' })), (error: unknown) => error instanceof CallerError && error.code === 'BAD_INPUT');
    const long = await search.search(request({ query: 'the giraffe in layer 0 case or a b c d e f g h i j k l m n' }));
    assert.equal(long.engine, 'postgres');
    assert.match(long.fallback ?? '', /10 words/);
    const before = server.requests;
    const page = await search.search(request());
    assert.deepEqual([page.engine, page.fallback], ['meilisearch', null]);
    assert.ok(server.requests > before);
  }));

test('facets are counted by who found the page, else by PostgreSQL', () =>
  composed(async ({ catalog, server, search }) => {
    const filter = request();
    assert.deepEqual(await search.facets(filter, { matched: 'words', engine: 'meilisearch' }), { dictionaries: [], explainers: [], exact: true, engine: 'meilisearch' });
    const expected = await catalog.search.facets(filter, { matched: 'words', engine: 'postgres' });
    assert.deepEqual(await search.facets(filter, { matched: 'words', engine: 'postgres' }), expected);
    server.fault = 'html';
    assert.deepEqual(await search.facets(filter, { matched: 'words', engine: 'meilisearch' }), expected);
  }));

test('hits are shown as text only, and marked where the server says', () =>
  composed(async ({ server, search }) => {
    const description = 'é <b>giraffe</b> & giraffes';
    const hit = { dictionaryId: 1, index: 2, explainer: 'x', description, generation: 'g', _rankingScore: 0.5 };
    const at = (word: string): object => ({ start: Buffer.byteLength(description.slice(0, description.indexOf(word))), length: Buffer.byteLength(word) });
    server.hits = [{ ...hit, _matchesPosition: { description: [at('gir')] } }, { ...hit, index: 3, _matchesPosition: { description: [{ start: 9000, length: 9 }] } }];
    const { hits } = await search.search(request());
    assert.deepEqual(
      hits.map(({ highlight }) => highlight),
      ['é &lt;b&gt;<mark>giraffe</mark>&lt;/b&gt; &amp; giraffes', 'é &lt;b&gt;giraffe&lt;/b&gt; &amp; giraffes'],
    );
    assert.deepEqual(hits.map(({ position }) => position), [['words', 1, 'g'], ['words', 2, 'g']]);
  }));

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { MeilisearchIndex } from '../../src/adapters/meilisearch/MeilisearchIndex.ts';
import { bringInStep } from '../../src/catalog/searchIndex/bringInStep.ts';
import { drainOutbox } from '../../src/catalog/searchIndex/drain.ts';
import { followOutbox } from '../../src/catalog/searchIndex/follow.ts';
import { queryVectors } from '../../src/catalog/searchIndex/queryVectors.ts';
import { rebuildIndex } from '../../src/catalog/searchIndex/rebuild.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { FeatureSearch, SearchRequest } from '../../src/ports/FeatureSearch.ts';
import { MODEL, TOKENS, explainedBy, makeConfig, makeExplanation, makeLoad, makeRun } from '../helpers/catalogData.ts';
import { topicEmbeddings } from '../helpers/topicEmbeddings.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { MEILI, NO_MEILI, withMeili, type TestIndex } from '../helpers/withMeili.ts';

// Against a real Meilisearch: see NO_MEILI for when there is none.
const skip = NO_MEILI;
const FEATURES = 200;
const TOPICS = ['giraffe', 'river', 'monday', 'comma'];
const target = { model: MODEL.name, dictionary: '0-a', weightsHash: makeConfig('0-a', FEATURES).weightsHash };
const words = (kind: string) => explainedBy(Array.from({ length: FEATURES }, (_, i) => makeExplanation(i, `${kind} ${TOPICS[i % 4]} number ${i}`, i % 3 === 0 ? null : i / FEATURES)));
const request = (query: string, more: Partial<SearchRequest> = {}): SearchRequest => ({ query, prefix: false, dictionaryIds: null, explainers: null, minScore: null, first: 10, after: null, ...more });
const total = async (search: FeatureSearch, query: string): Promise<number> => (await search.search(request(query))).total?.value ?? -1;

/** A loaded catalog, and an index that is built. */
function built(work: (catalog: TestCatalog, index: TestIndex) => Promise<void>): Promise<void> {
  return withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    await catalog.writer.loadDictionary(makeLoad('0-a', FEATURES, [], { explanations: words('old') }));
    await withMeili(catalog.outbox, async (index) => {
      await bringInStep(index, { rebuild: false, synonyms: null });
      await work(catalog, index);
    });
  });
}

const save = ({ writer }: TestCatalog, index: number, text: string, explainer = 'pattern-v1'): Promise<void> => {
  const outcome = makeExplanation(index, text, 0.5, explainer);
  assert.ok(outcome.kind === 'explained');
  return writer.saveExplanation(target, makeRun('explain', 'one'), outcome.explanation);
};

test('meilisearch: the index holds what the catalog does, whatever changes, and is mended where it does not', { skip }, () =>
  built(async (catalog, index) => {
    const search = index.search();
    assert.deepEqual([await total(search, 'old'), await catalog.outbox.waiting()], [FEATURES, 0]);
    await save(catalog, 4, 'a zebra');
    await save(catalog, 5, 'a zebra by another', 'llm/one');
    assert.deepEqual(await drainOutbox(index), { claims: 1, explanations: 3 });
    assert.deepEqual([await total(search, 'zebra'), await total(search, 'old')], [2, FEATURES - 1]);
    await catalog.sql('DELETE FROM explanation WHERE "index" = 5');
    await drainOutbox(index);
    assert.deepEqual([await total(search, 'zebra'), await total(search, 'old')], [1, FEATURES - 2]);
    await catalog.writer.loadExplanations(target, words('new')[0]!);
    await drainOutbox(index);
    assert.deepEqual([await total(search, 'zebra'), await total(search, 'old'), await total(search, 'new')], [0, 0, FEATURES]);
    assert.equal(await catalog.outbox.waiting(), 0);
    // Somebody else takes documents out.
    await index.client.index(index.options.index!).deleteDocuments({ filter: 'index IN [1, 2, 3]' }).waitTask({ timeout: 60_000 });
    const { mended, counts } = await bringInStep(index, { rebuild: false, synonyms: null });
    assert.deepEqual([mended, counts], [1, [{ dictionaryId: 1, catalog: FEATURES, index: FEATURES }]]);
  }));

test('meilisearch: away, then back: nothing is lost, and what a process that died had is sent by another', { skip }, () =>
  built(async (catalog, index) => {
    const search = index.search();
    const reasons: string[] = [];
    const away = followOutbox({ ...index, index: new MeilisearchIndex({ ...index.options, url: 'http://127.0.0.1:9' }) }, { everyMs: 5, longestMs: 10, onFailure: (reason) => reasons.push(reason) });
    for (let i = 0; i < 10; i++) await save(catalog, i, `while away ${i}`);
    while (reasons.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await away.stop();
    assert.match(reasons[0]!, /cannot be reached/);
    assert.equal(await catalog.outbox.waiting(), 10);
    // Taken, and the process dies before anything is sent.
    await catalog.outbox.claim();
    assert.deepEqual(await drainOutbox(index), { claims: 0, explanations: 0 });
    await catalog.sql(`UPDATE search_outbox SET claimed_until = now() - interval '1 second'`);
    // Sent, and it dies before it says so: the same again changes nothing.
    await assert.rejects(drainOutbox({ ...index, outbox: { ...catalog.outbox, finish: () => Promise.reject(new Error('killed')) } }), /killed/);
    assert.equal(await total(search, 'away'), 10);
    await drainOutbox(index);
    assert.deepEqual([await total(search, 'away'), await catalog.outbox.waiting()], [10, 0]);
    const { mended } = await bringInStep(index, { rebuild: false, synonyms: null });
    assert.equal(mended, 0);
  }));

test('meilisearch: built anew beside the old one: searches go on, changes meanwhile are in it, old cursors are refused', { skip }, () =>
  built(async (catalog, index) => {
    const search = index.search();
    const first = await search.search(request('old', { first: 3 }));
    const after = { engine: first.engine, position: first.hits.at(-1)!.position };
    assert.equal((await search.search(request('old', { first: 3, after }))).hits.length, 3);
    const done = new AbortController();
    let fewest = Number.POSITIVE_INFINITY;
    const watching = (async () => {
      while (!done.signal.aborted) fewest = Math.min(fewest, await total(search, 'number'));
    })();
    // One is sent to the old index only, another not at all before the new one takes over.
    const outbox: typeof catalog.outbox = {
      ...catalog.outbox,
      async *documents(...args) {
        yield* catalog.outbox.documents(...args);
        if (args[0] !== null) return;
        await save(catalog, 1, 'a number sent meanwhile');
        await drainOutbox(index);
        await save(catalog, 2, 'a number not sent');
      },
    };
    const { explanations } = await rebuildIndex({ ...index, outbox }, [['giraffe', 'camelopard']]);
    done.abort();
    await watching;
    assert.deepEqual([explanations, fewest], [FEATURES, FEATURES]);
    assert.equal(await catalog.outbox.waiting(), 0);
    assert.deepEqual([await total(search, 'meanwhile'), await total(search, '"not sent"')], [1, 1]);
    await assert.rejects(search.search(request('old', { first: 3, after })), (error: unknown) => error instanceof CallerError && error.code === 'BAD_CURSOR' && /built anew/.test(error.message));
    assert.equal(await total(index.search(), 'camelopard'), FEATURES / 4);
    // Kept by a rebuild that names none.
    const { rebuilt } = await bringInStep(index, { rebuild: true, synonyms: null });
    assert.equal(rebuilt?.explanations, FEATURES);
    assert.equal(await total(index.search(), 'camelopard'), FEATURES / 4);
    const { results } = await index.client.getRawIndexes({ limit: 1000 });
    assert.deepEqual(results.filter(({ uid }) => uid.startsWith(index.options.index!)).map(({ uid }) => uid), [index.options.index]);
  }));

test('meilisearch: facets and filters count before limiting; an index of another catalog is not used', { skip }, () =>
  built(async (catalog, index) => {
    await save(catalog, 0, 'an old giraffe by another', 'by "quotes" and \\');
    await drainOutbox(index);
    const search = index.search();
    const filter = request('giraffe');
    const facets = await search.facets(filter, { matched: 'words' });
    assert.deepEqual(facets, { dictionaries: [{ dictionaryId: 1, count: 51 }], explainers: [{ explainer: 'pattern-v1', count: 50 }, { explainer: 'by "quotes" and \\', count: 1 }], exact: true, engine: 'meilisearch' });
    const two = await search.facets(request('giraffe or river'), { matched: 'words' });
    assert.deepEqual(two.dictionaries, [{ dictionaryId: 1, count: 101 }]);
    const page = await search.search(request('giraffe', { explainers: ['by "quotes" and \\'], minScore: 0.25 }));
    assert.deepEqual([page.hits.length, page.total, page.hits[0]?.explainer], [1, { value: 1, exact: true }, 'by "quotes" and \\']);
    const scored = await search.search(request('giraffe', { minScore: 0.9, first: 2 }));
    const expected = await catalog.sql<{ n: number }>(`SELECT count(*)::int AS n FROM explanation WHERE description LIKE '%giraffe%' AND best_score >= 0.9`);
    assert.deepEqual([scored.total, scored.hasNext], [{ value: expected[0]!.n, exact: true }, expected[0]!.n > 2]);
    await assert.rejects(index.search({ catalog: () => Promise.resolve('another') }).search(filter), /of another catalog/);
    await catalog.sql(`UPDATE catalog_identity SET id = gen_random_uuid()`);
    await save(catalog, 1, 'a giraffe more');
    await assert.rejects(drainOutbox(index), /of another catalog/);
  }));

test('meilisearch: by meaning, with vectors of a model; by words where that fails or the query says exactly what', { skip }, () =>
  withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    await catalog.writer.loadDictionary(makeLoad('0-a', FEATURES, [], { explanations: words('old') }));
    const embeddings = topicEmbeddings();
    await withMeili(
      catalog.outbox,
      async (index) => {
        await bringInStep(index, { rebuild: false, synonyms: null });
        assert.ok(embeddings.texts >= FEATURES);
        const search = index.search({ embedding: { model: 'topics', vector: queryVectors(embeddings) } });
        const seen = new Set<number>();
        let after: SearchRequest['after'] = null;
        for (let page = 0; page < 5; page++) {
          const found = await search.search(request('zoo animal', { after }));
          assert.deepEqual([found.matched, found.total, found.hasNext], ['semantic', null, true]);
          assert.equal(found.hits.length, 10);
          for (const hit of found.hits) seen.add(hit.index);
          after = { engine: found.engine, position: found.hits.at(-1)!.position };
        }
        assert.deepEqual([...seen].sort((a, b) => a - b), Array.from({ length: 50 }, (_, i) => 4 * i), 'all giraffes, though no word matches');
        const filtered = await search.search(request('zoo', { minScore: 0.9 }));
        assert.ok(filtered.hits.slice(0, 3).every(({ index: i }) => i % 4 === 0 && i >= 180), 'filters hold');
        assert.equal((await search.search(request('"zoo animal"'))).matched, 'similar');
        assert.equal((await search.search(request('river -monday'))).matched, 'words');
        const failing = index.search({ embedding: { model: 'topics', vector: queryVectors({ ...embeddings, embed: () => Promise.reject(new Error('no')) }) } });
        assert.deepEqual([(await failing.search(request('river'))).matched, (await failing.search(request('zoo'))).hits.length], ['words', 0]);
        assert.equal((await index.search({ embedding: { model: 'other', vector: queryVectors(topicEmbeddings('other')) } }).search(request('river'))).matched, 'words');
        await save(catalog, 0, 'a lake');
        await drainOutbox(index);
        const lakes = await search.search(request('water', { first: 51 }));
        assert.ok(lakes.hits.some(({ index: i }) => i === 0), 'a change brings its vector');
      },
      embeddings,
    );
  }));

test('meilisearch: index killed in the middle leaves no half index behind, and loses nothing', { skip }, () =>
  built(async (catalog, index) => {
    const cli = join(import.meta.dirname, '../../scripts/cli.ts');
    const environment = { ...process.env, MEILI_URL: MEILI!.url, MEILI_KEY: MEILI!.key ?? '', MEILI_INDEX: index.options.index!, DATABASE_URL: catalog.url, CATALOG_HOME: '/nonexistent', EMBEDDING_MODEL: '' };
    const beside = async (): Promise<number> => (await index.client.getRawIndexes({ limit: 1000 })).results.filter(({ uid }) => uid.startsWith(`${index.options.index}--`)).length;
    const killed = spawn(process.execPath, [cli, 'index', '--rebuild'], { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(killed, 'exit');
    while ((await beside()) === 0 && killed.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
    killed.kill('SIGKILL');
    await exited;
    assert.equal(killed.signalCode, 'SIGKILL', 'it was not done yet');
    assert.equal(await total(index.search(), 'old'), FEATURES);
    await save(catalog, 3, 'after the kill');
    const said: string[] = [];
    const again = spawn(process.execPath, [cli, 'index'], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    again.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    const [code] = (await once(again, 'close')) as [number];
    assert.equal(code, 0);
    assert.match(said.join(''), /toy\/0-a +200 +200\n/);
    assert.deepEqual([await beside(), await total(index.search(), 'kill'), await catalog.outbox.waiting()], [0, 1, 0]);
  }));

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import type { ExplainOutcome, Explanation } from '../../../src/domain/feature.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import type { SearchDocument } from '../../../src/ports/SearchIndex.ts';
import { MODEL, TOKENS, explainedBy, makeConfig, makeExplanation, makeLoad, makeRun } from '../../helpers/catalogData.ts';
import { withCatalog, type TestCatalog } from '../../helpers/withCatalog.ts';

const NAMES = ['0-a', '1-a'];
const FEATURES = 150;

const explained = (index: number, text: string, explainer?: string): Explanation => {
  const outcome: ExplainOutcome = makeExplanation(index, text, 0.5, explainer);
  assert.ok(outcome.kind === 'explained');
  return outcome.explanation;
};
const many = (text: string): ExplainOutcome[] => Array.from({ length: FEATURES }, (_, i) => makeExplanation(i, `${text} ${i}`, 0.25));
const target = (name: string) => ({ model: MODEL.name, dictionary: name, weightsHash: makeConfig(name, FEATURES).weightsHash });
const save = ({ writer }: TestCatalog, name: string, index: number, text: string): Promise<void> => writer.saveExplanation(target(name), makeRun('explain', 'one'), explained(index, text));

/** Two dictionaries of 150 explained features, and nothing waiting. */
function loaded(work: (catalog: TestCatalog, ids: readonly number[]) => Promise<void>): Promise<void> {
  return withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    for (const name of NAMES) await catalog.writer.loadDictionary(makeLoad(name, FEATURES, many('words')));
    assert.deepEqual(await rows(catalog), [[1, -1], [2, -1]], 'a whole dictionary is one row');
    await catalog.sql('DELETE FROM search_outbox');
    await work(catalog, [1, 2]);
  });
}

async function rows({ sql }: TestCatalog): Promise<[number, number][]> {
  const found = await sql<{ d: number; i: number }>('SELECT dictionary_id AS d, "index" AS i FROM search_outbox ORDER BY 1, 2');
  return found.map(({ d, i }) => [d, i]);
}

async function gather(batches: AsyncIterable<readonly SearchDocument[]>): Promise<SearchDocument[]> {
  const all: SearchDocument[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

test('every change of explanations is noted with it, once however often, and bounded', () =>
  loaded(async (catalog) => {
    const { writer, sql } = catalog;
    for (let round = 0; round < 3; round++) for (const index of [3, 7]) await save(catalog, '0-a', index, `again ${round}`);
    assert.deepEqual(await rows(catalog), [[1, 3], [1, 7]]);
    await writer.loadExplanations(target('1-a'), explainedBy(many('other'))[0]!);
    assert.deepEqual(await rows(catalog), [[1, 3], [1, 7], [2, -1]]);
    await sql('DELETE FROM search_outbox');
    // Whoever writes: also those that know nothing of an outbox.
    await sql('DELETE FROM explanation WHERE dictionary_id = 1 AND "index" IN (1, 2)');
    await sql('UPDATE explanation SET best_score = 1 WHERE dictionary_id = 1 AND "index" = 4');
    await sql(`UPDATE dictionary SET name = '1-b' WHERE id = 2`);
    assert.deepEqual(await rows(catalog), [[1, 1], [1, 2], [1, 4], [2, -1]]);
    await sql('DELETE FROM explanation WHERE dictionary_id = 2');
    await sql('DELETE FROM dictionary WHERE id = 2');
    assert.deepEqual(await gather(catalog.outbox.documents(2, null, 10)), []);
    assert.deepEqual([...(await catalog.outbox.counts())], [[1, 148]]);
  }));

test('what is rolled back is not noted, and what is not committed yet is not taken', () =>
  loaded(async (catalog) => {
    const client = new Client({ connectionString: catalog.url });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query(`UPDATE explanation SET description = 'x' WHERE dictionary_id = 1 AND "index" = 1`);
      assert.equal(await catalog.outbox.claim(), null);
      await client.query('ROLLBACK');
      assert.equal(await catalog.outbox.waiting(), 0);
      // A writer that holds a noted row holds up neither who takes the others nor who finishes.
      await save(catalog, '0-a', 1, 'one');
      await save(catalog, '0-a', 2, 'two');
      const claim = await catalog.outbox.claim();
      assert.deepEqual(claim?.indices, [1, 2]);
      await client.query('BEGIN');
      await client.query(`UPDATE explanation SET description = 'later' WHERE dictionary_id = 1 AND "index" = 1`);
      assert.equal(await catalog.outbox.renew(claim!), true);
      await catalog.outbox.finish(claim!);
      assert.deepEqual(await rows(catalog), [[1, 1]], 'what it holds stays');
      await client.query('COMMIT');
    } finally {
      await client.end();
    }
    assert.equal(await catalog.outbox.waiting(), 1);
    await catalog.sql(`UPDATE search_outbox SET claimed_until = now() - interval '1 second'`);
    assert.deepEqual((await catalog.outbox.claim())?.indices, [1]);
  }));

test('a dictionary is taken by one at a time, oldest first; a change meanwhile is taken again', () =>
  loaded(async (catalog) => {
    const { outbox, sql } = catalog;
    await save(catalog, '1-a', 5, 'first');
    for (const index of [1, 2]) await save(catalog, '0-a', index, 'second');
    const claims = (await Promise.all([1, 2, 3, 4, 5, 6].map(() => outbox.claim()))).filter((claim) => claim !== null);
    // A claim that met another one may have gone away with nothing, and kept a row of it from that one; nobody has what another has.
    const taken = claims.map(({ dictionaryId }) => dictionaryId);
    assert.deepEqual([...new Set(taken)], taken, 'one claim of a dictionary');
    assert.ok(taken.length > 0);
    for (const claim of claims) await outbox.release(claim);
    const more = [await outbox.claim(), await outbox.claim(), await outbox.claim()].filter((claim) => claim !== null);
    assert.deepEqual(more.map(({ dictionaryId, indices }) => [dictionaryId, indices]).sort(), [[1, [1, 2]], [2, [5]]]);
    const [one, two] = [more.find(({ dictionaryId }) => dictionaryId === 1)!, more.find(({ dictionaryId }) => dictionaryId === 2)!];
    await save(catalog, '0-a', 2, 'third');
    await outbox.finish(one);
    assert.deepEqual(await rows(catalog), [[1, 2], [2, 5]]);
    await outbox.release(two);
    const oldest = await outbox.claim();
    assert.deepEqual([oldest?.dictionaryId, oldest?.indices], [2, [5]]);
    assert.ok(oldest!.revision > two.revision);
    // Its process died: the lease runs out, and what comes late from it changes nothing.
    await sql(`UPDATE search_outbox SET claimed_until = now() - interval '1 second' WHERE dictionary_id = 2`);
    await sql('DELETE FROM search_outbox WHERE dictionary_id = 1');
    const again = await outbox.claim();
    assert.deepEqual(again?.indices, [5]);
    assert.equal(await outbox.renew(oldest!), false);
    await outbox.finish(oldest!);
    await outbox.release(oldest!);
    assert.equal(await outbox.claim(), null, 'it is still the second one that has it');
    await outbox.finish(again!);
    assert.deepEqual(await rows(catalog), []);
  }));

test('documents come in batches, in order, whole', () =>
  loaded(async (catalog) => {
    const { outbox } = catalog;
    await catalog.writer.saveExplanation(target('0-a'), makeRun('explain', 'one'), explained(3, 'by another', 'Another/explainer'));
    const all = await gather(outbox.documents(null, null, 7));
    assert.equal(all.length, 2 * FEATURES + 1);
    assert.deepEqual(all, await gather(outbox.documents(null, null, 10_000)));
    assert.deepEqual(await gather(outbox.documents(1, [3, 4], 1)), [
      { dictionaryId: 1, index: 3, explainer: 'Another/explainer', model: 'toy', dictionary: '0-a', layer: 1, description: 'by another', bestScore: 0.5 },
      { dictionaryId: 1, index: 3, explainer: 'pattern-v1', model: 'toy', dictionary: '0-a', layer: 1, description: 'words 3', bestScore: 0.25 },
      { dictionaryId: 1, index: 4, explainer: 'pattern-v1', model: 'toy', dictionary: '0-a', layer: 1, description: 'words 4', bestScore: 0.25 },
    ]);
  }));

test('while an index is built, what is sent stays for it; a build that died is ended', () =>
  loaded(async (catalog) => {
    const { outbox, sql } = catalog;
    const build = await outbox.beginBuild();
    await assert.rejects(outbox.beginBuild(), (error: unknown) => error instanceof CallerError && error.code === 'BUSY');
    await save(catalog, '0-a', 1, 'sent meanwhile');
    await outbox.finish((await outbox.claim())!);
    assert.equal(await outbox.waiting(), 0);
    await save(catalog, '0-a', 2, 'not sent yet');
    const changes = await build.changes(new Map());
    assert.deepEqual(changes.map(({ dictionaryId, indices }) => [dictionaryId, indices]), [[1, [1, 2]]]);
    const known = new Map(changes.flatMap(({ dictionaryId, rows: own }) => own.map(([index, revision]) => [`${dictionaryId}/${index}`, revision] as const)));
    assert.deepEqual(await build.changes(known), []);
    await build.pause();
    assert.equal(await outbox.claim(), null, 'nobody sends while it takes over');
    await save(catalog, '0-a', 2, 'after the last look');
    await build.end(known);
    assert.deepEqual(await rows(catalog), [[1, 2]]);
    assert.deepEqual((await outbox.claim())?.indices, [2]);
    await sql('DELETE FROM search_outbox');

    const dying = await outbox.beginBuild();
    await save(catalog, '0-a', 9, 'sent, then the builder dies');
    await outbox.finish((await outbox.claim())!);
    await dying.pause();
    await sql(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
    // Its lock is gone with it: the next to look puts things right.
    let claim = null;
    for (let attempt = 0; attempt < 100 && claim === null; attempt++) {
      claim = await outbox.claim();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.deepEqual(claim?.indices, [9]);
    await dying.end().catch(() => undefined);
  }));

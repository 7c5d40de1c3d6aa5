import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visibleReader } from '../../../src/catalog/visibleReader.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import type { FeatureKey, NearestRow } from '../../../src/ports/CatalogReader.ts';
import type { NearestLoad } from '../../../src/ports/CatalogWriter.ts';
import type { Nearest } from '../../../src/ports/NearestRows.ts';
import { MODEL, TOKENS, makeConfig, makeLoad, makeRun } from '../../helpers/catalogData.ts';
import { madeNearest, nearestLoads, type NearestEnd } from '../../helpers/seedNearest.ts';
import { withCatalog, type TestCatalog } from '../../helpers/withCatalog.ts';

const F = 12;
const K = 4;
const NAMES = ['0-a', '1-a', '2-b'];
const HASH = 'cc'.repeat(32);
const ENDS: readonly NearestEnd[] = NAMES.map((dictionary) => ({ dictionary, weightsHash: HASH, features: F }));

const withModel = (work: (catalog: TestCatalog, ids: ReadonlyMap<string, number>, keys: readonly FeatureKey[]) => Promise<void>): Promise<void> =>
  withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    for (const name of NAMES) await catalog.writer.loadDictionary(makeLoad(name, F, [], { config: makeConfig(name, F) }));
    const ids = new Map((await catalog.reader.dictionaries({})).map(({ id, name }) => [name, id]));
    await work(catalog, ids, NAMES.flatMap((name) => Array.from({ length: F }, (_, index) => ({ dictionaryId: ids.get(name)!, index }))));
  });

/** What the catalog must say of a key, from pairs as they were made. */
function truth({ dictionaryId, index }: FeatureKey, ids: ReadonlyMap<string, number>, pairs: readonly (readonly [NearestEnd, NearestEnd, string])[]): NearestRow[] {
  return pairs
    .filter(([from]) => ids.get(from.dictionary) === dictionaryId)
    .flatMap(([from, to, run]) => {
      const { indices, cosines } = madeNearest(from, to, K);
      return Array.from({ length: K }, (_, rank) => ({ dictionaryId: ids.get(to.dictionary)!, index: indices[index * K + rank], cosine: cosines[index * K + rank], run })).filter((row) => row.index >= 0);
    })
    .sort((a, b) => b.cosine - a.cosine || a.dictionaryId - b.dictionaryId || a.index - b.index);
}

const every = (run: string, but: (from: NearestEnd, to: NearestEnd) => boolean = () => false) =>
  ENDS.flatMap((from) => ENDS.filter((to) => to !== from && !but(from, to)).map((to) => [from, to, run] as const));

test('nearest features over all dictionaries, strongest first; pairs that are there stay, another run replaces them', () =>
  withModel(async ({ reader, writer, statements }, ids, keys) => {
    assert.deepEqual(await reader.nearest(keys), keys.map(() => []));
    const run = makeRun('nearest');
    assert.deepEqual(await writer.loadNearest('toy', nearestLoads(ENDS, K, run)), { pairs: 6, kept: 0 });
    statements.length = 0;
    assert.deepEqual(await reader.nearest(keys), keys.map((key) => truth(key, ids, every(run.key))));
    assert.equal(statements.length, 1, 'one statement, however many features');
    assert.deepEqual((await reader.runs([run.key]))[0]!.stage, 'nearest');

    const never = nearestLoads(ENDS, K, run).map((load) => ({ ...load, read: async () => Promise.reject(new Error('read again')) }));
    assert.deepEqual(await writer.loadNearest('toy', never), { pairs: 0, kept: 6 });
    const later = makeRun('nearest', 'later');
    const again = nearestLoads(ENDS.slice(0, 2), K, later);
    assert.deepEqual(await writer.loadNearest('toy', again), { pairs: 2, kept: 0 });
    const both = [...every(run.key, (from, to) => from !== ENDS[2] && to !== ENDS[2]), ...every(later.key, (from, to) => from === ENDS[2] || to === ENDS[2])];
    assert.deepEqual(await reader.nearest(keys), keys.map((key) => truth(key, ids, both)));

    // The same dictionary loaded again is the same dictionary; a restricted model's features are near nothing.
    await writer.loadDictionary(makeLoad('1-a', F, [], { config: makeConfig('1-a', F) }));
    assert.deepEqual(await reader.nearest(keys), keys.map((key) => truth(key, ids, both)));
    assert.deepEqual(await visibleReader(reader, new Set(['toy'])).nearest(keys), keys.map(() => []));
  }));

test('a dictionary that gets other weights is near nothing, and nothing is near it', () =>
  withModel(async ({ reader, writer, sql }, ids, keys) => {
    const run = makeRun('nearest');
    await writer.loadNearest('toy', nearestLoads(ENDS, K, run));
    await writer.loadDictionary(makeLoad('1-a', F, [], { config: makeConfig('1-a', F, { weightsHash: 'dd'.repeat(32) }) }));
    const left = every(run.key, (from, to) => [from, to].includes(ENDS[1]));
    assert.equal(left.length, 2);
    assert.deepEqual(await reader.nearest(keys), keys.map((key) => truth(key, ids, left)));
    const [{ pairs, features }] = await sql<{ pairs: number; features: number }>('SELECT (SELECT count(*) FROM nearest_pair)::int AS pairs, (SELECT count(*) FROM nearest_feature)::int AS features');
    assert.deepEqual([pairs, features], [2, 2 * (F - 1)], 'no rows stay behind');
    await assert.rejects(writer.loadNearest('toy', nearestLoads(ENDS, K, run)), caller('STALE_OUTPUT', /toy\/1-a has other weights than the one compared/));

    // Were a row left behind by whatever way, it would not be read.
    await sql(`UPDATE dictionary SET weights_hash = 'ee' WHERE name = '2-b'`);
    assert.deepEqual(await reader.nearest(keys), keys.map(() => []));
  }));

const caller = (code: string, message: RegExp) => (error: unknown) => error instanceof CallerError && error.code === code && message.test(error.message);

test('what does not fit is refused whole', () =>
  withModel(async ({ reader, writer }, _, keys) => {
    const [good] = nearestLoads(ENDS, K);
    await writer.loadNearest('toy', [good]);
    const before = await reader.nearest(keys);
    const made = madeNearest(ENDS[0], ENDS[1], K);
    const refused = async (change: Partial<Nearest>, message: RegExp): Promise<void> => {
      const bad: NearestLoad = { ...good, run: makeRun('nearest', 'bad'), read: async () => Promise.resolve({ ...made, ...change }) };
      await assert.rejects(writer.loadNearest('toy', [bad]), caller('BAD_INPUT', message));
    };
    const changed = <T extends Int32Array | Float32Array>(values: T, at: number, value: number): T => {
      const copy = values.slice() as T;
      copy[at] = value;
      return copy;
    };
    await refused({ indices: changed(made.indices, 5, F) }, /0-a in 1-a: index is 12: expected an integer from 0 to 11/);
    await refused({ cosines: changed(made.cosines, 5, 1.5) }, /feature 1 has the cosine 1.5/);
    await refused({ cosines: changed(made.cosines, 5, Number.NaN) }, /cosine NaN/);
    await refused({ k: 3 }, /found 48 indices and 48 cosines, expected 3 of each for 12 features/);
    await assert.rejects(writer.loadNearest('toy', [good, good]), caller('BAD_INPUT', /each once/));
    await assert.rejects(writer.loadNearest('toy', [{ ...good, to: good.from }]), caller('BAD_INPUT', /two dictionaries/));
    await assert.rejects(writer.loadNearest('toy', [{ ...good, to: { dictionary: '9-z', weightsHash: HASH } }]), caller('NOT_FOUND', /no dictionary toy\/9-z/));
    await assert.rejects(writer.loadNearest('other', [good]), caller('NOT_FOUND', /other\/0-a/));
    assert.deepEqual(await reader.nearest(keys), before);
  }));

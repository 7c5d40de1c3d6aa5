import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { firedTokens } from '../../../src/adapters/prisma/featureTokens.ts';
import { drift, migrate } from '../../../src/adapters/prisma/migrate.ts';
import { readMigrations } from '../../../src/adapters/prisma/migrations.ts';
import { kindCode, packWindows } from '../../../src/adapters/prisma/pack.ts';
import { CallerError, OutsideError } from '../../../src/domain/errors.ts';
import { seedFeature } from '../../helpers/seedCatalog.ts';
import { withDatabase } from '../../helpers/withCatalog.ts';
import { withFolder } from '../../helpers/withFolder.ts';

async function query<Row extends Record<string, unknown>>(url: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

const names = async (): Promise<string[]> => (await readMigrations()).migrationDirectories.map((migration) => migration.path);

test('migrations apply once, and the result is what schema.prisma says', () =>
  withDatabase(async (url) => {
    assert.deepEqual(await migrate(url), await names());
    assert.deepEqual(await migrate(url), []);
    assert.equal(await drift(url), '');
  }));

test('drift is seen', () =>
  withDatabase(async (url) => {
    await migrate(url);
    await query(url, 'ALTER TABLE feature DROP COLUMN density; CREATE INDEX extra ON explanation (run)');
    const script = await drift(url);
    assert.match(script, /ADD COLUMN +"density"/);
    assert.match(script, /DROP INDEX "extra"/);
  }));

test('the history is the one that prisma migrate keeps', () =>
  withDatabase(async (url) => {
    await migrate(url);
    const rows = await query<{ migration_name: string; checksum: string; finished: boolean; rolled_back_at: null }>(
      url,
      'SELECT migration_name, checksum, finished_at IS NOT NULL AS finished, rolled_back_at FROM _prisma_migrations ORDER BY migration_name',
    );
    const { baseDir, migrationDirectories } = await readMigrations();
    const expected = await Promise.all(
      migrationDirectories.map(async ({ path }) => ({
        migration_name: path,
        checksum: createHash('sha256').update(await readFile(join(baseDir, path, 'migration.sql'))).digest('hex'),
        finished: true,
        rolled_back_at: null,
      })),
    );
    assert.deepEqual(rows, expected);
  }));

test('a catalog of before transcoders keeps its dictionaries: they write where they read, and have no k', () =>
  withDatabase(async (url) => {
    const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
    try {
      await cp((await readMigrations()).baseDir, folder, { recursive: true });
      await rm(join(folder, '20261123020000_transcoders'), { recursive: true });
      await migrate(url, { folder });
      await query(url, `INSERT INTO model (name, architecture, layers, d_model, vocab_size, context_length, parameters, weights_hash, tokenizer_hash, source) VALUES ('m', 'gpt2', 1, 2, 3, 4, 5, '', '', '');
        INSERT INTO run (key, stage, params, inputs, seed, code_version, started_at, metrics) VALUES ('r', 'train', '{}', '{}', 1, '', now(), '{}');
        INSERT INTO dictionary (model_id, name, hook_point, layer, architecture, d_in, n_features, input_scale, weights_hash, location, train_run) SELECT id, 'd', 'resid_post.0', 0, 'tied', 2, 8, 1, 'h', 'l', 'r' FROM model`);
      assert.deepEqual(await migrate(url), ['20261123020000_transcoders']);
      assert.deepEqual(await query(url, 'SELECT name, hook_point, output_hook_point, k FROM dictionary'), [{ name: 'd', hook_point: 'resid_post.0', output_hook_point: null, k: null }]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }));

test('a catalog of one explainer keeps its explanations: the pattern judged itself, and skips and means are summed up', () =>
  withDatabase(async (url) => {
    const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
    try {
      await cp((await readMigrations()).baseDir, folder, { recursive: true });
      for (const name of await names()) if (name >= '20261123120000') await rm(join(folder, name), { recursive: true });
      await migrate(url, { folder });
      await query(url, `INSERT INTO model (name, architecture, layers, d_model, vocab_size, context_length, parameters, weights_hash, tokenizer_hash, source) VALUES ('m', 'gpt2', 1, 2, 3, 4, 5, '', '', '');
        INSERT INTO run (key, stage, params, inputs, seed, code_version, started_at, metrics) VALUES ('r', 'train', '{}', '{}', 1, '', now(), '{}'), ('e', 'explain', '{}', '{}', 1, '', now(), '{}');
        INSERT INTO dictionary (id, model_id, name, hook_point, layer, architecture, d_in, n_features, input_scale, weights_hash, location, train_run, explain_run)
          SELECT n, id, 'd' || n, 'resid_post.0', 0, 'tied', 2, 4, 1, 'h', 'l', 'r', CASE WHEN n = 1 THEN 'e' END FROM model, generate_series(1, 2) n;
        INSERT INTO feature SELECT 1, i, 0, 0, NULL, '', '', '', '', NULL, i < 2, CASE WHEN i > 1 THEN 'too rare' END FROM generate_series(0, 3) i;
        INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, best_score) SELECT 1, i, 'pattern-v1', 'commas', '{}', 'e', 0.5 FROM generate_series(0, 1) i;
        INSERT INTO score SELECT 1, i, 'pattern-v1', 'simulation-top-random', CASE WHEN i = 0 THEN 0.5 END, CASE WHEN i = 1 THEN 'constant' END, 64, NULL, NULL FROM generate_series(0, 1) i`);
      assert.deepEqual(await migrate(url), (await names()).filter((name) => name >= '20261123120000'));
      assert.deepEqual(await query(url, 'SELECT scorer, judge, prompt_version, value, judged_on FROM score ORDER BY "index"'), [
        { scorer: 'simulation-top-random', judge: 'pattern-v1', prompt_version: null, value: 0.5, judged_on: 0 },
        { scorer: 'simulation-top-random', judge: 'pattern-v1', prompt_version: null, value: null, judged_on: 0 },
      ]);
      const unknown = Buffer.alloc(0);
      assert.deepEqual(await query(url, 'SELECT model, prompt_version, fragments, judged_on, best_score FROM explanation WHERE "index" = 0'), [{ model: null, prompt_version: null, fragments: unknown, judged_on: [unknown], best_score: 0.5 }]);
      assert.deepEqual(await query(url, 'SELECT * FROM explanation_skip ORDER BY "index"'), [2, 3].map((index) => ({ dictionary_id: 1, index, explainer: 'pattern-v1', reason: 'too rare', run: 'e' })));
      assert.deepEqual(await query(url, 'SELECT * FROM explanation_summary'), [
        {
          dictionary_id: 1, explainer: 'pattern-v1', run: 'e', features: 4, explained: 2, skips: [{ reason: 'too rare', count: 2 }],
          scores: [{ scorer: 'simulation-top-random', judge: 'pattern-v1', n: 1, mean: 0.5, halfWidth: null, zero: { n: 4, mean: 0.125, halfWidth: 0.245 }, undefined: [{ reason: 'constant', count: 1 }] }],
        },
      ]); // prettier-ignore
      assert.equal(await drift(url), '');
    } finally {
      await rm(folder, { recursive: true });
    }
  }));

test('texts that scores share are kept once, and every score still points to its own', () =>
  withDatabase(async (url) => {
    const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
    try {
      await cp((await readMigrations()).baseDir, folder, { recursive: true });
      for (const name of await names()) if (name >= '20261123130000') await rm(join(folder, name), { recursive: true });
      await migrate(url, { folder });
      const texts: Readonly<Record<string, string>> = { detection: '02', fuzzing: '02', simulation: '0104', embedding: '' };
      const values = Object.entries(texts).map(([scorer, hex]) => `(1, 7, 'x', '${scorer}', 'j', 1, decode('${hex}', 'hex'))`);
      await query(url, `INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, fragments) SELECT 1, i, 'x', 'commas', '{}', 'e', '' FROM generate_series(6, 7) i;
        INSERT INTO score (dictionary_id, "index", explainer, scorer, judge, n, fragments) VALUES ${values.join()}`);
      await migrate(url);
      const found = await query<{ scorer: string; hex: string }>(url, `SELECT scorer, encode(e.judged_on[s.judged_on + 1], 'hex') AS hex FROM score s JOIN explanation e USING (dictionary_id, "index", explainer)`);
      assert.deepEqual(Object.fromEntries(found.map(({ scorer, hex }) => [scorer, hex])), texts);
      assert.deepEqual(await query(url, 'SELECT cardinality(judged_on) AS n FROM explanation ORDER BY "index"'), [{ n: 0 }, { n: 3 }]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }));

test('two processes migrating at once: one does, the other waits', () =>
  withDatabase(async (url) => {
    const applied = await Promise.all([migrate(url), migrate(url), migrate(url)]);
    assert.deepEqual(applied.flat(), await names());
    assert.equal(await drift(url), '');
  }));

test('a migration that fails leaves nothing of itself; semicolons within it are no ends of statements', () =>
  withDatabase(async (url) => {
    const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
    try {
      await cp((await readMigrations()).baseDir, folder, { recursive: true });
      const add = async (name: string, sql: string): Promise<void> => {
        await mkdir(join(folder, name));
        await writeFile(join(folder, name, 'migration.sql'), sql);
      };
      await add('20990101000000_good', `-- a; b\nCREATE TABLE quoted (a text DEFAULT 'x;y');\nCREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;`);
      await add('20990102000000_bad', 'CREATE TABLE half (a int);\nSELECT nothing_of_this_name;');
      await assert.rejects(migrate(url, { folder }), (error: unknown) => error instanceof OutsideError && /nothing_of_this_name/.test(error.message));
      const [row] = await query(url, `SELECT to_regclass('half') AS half, one() AS one, (SELECT column_default FROM information_schema.columns WHERE table_name = 'quoted') AS kept`);
      assert.deepEqual(row, { half: null, one: 1, kept: "'x;y'::text" });
    } finally {
      await rm(folder, { recursive: true });
    }
  }));

test('a server that forbids the extension is told so', () =>
  withDatabase(async (url) => {
    await query(url, `CREATE ROLE limited LOGIN PASSWORD 'limited'; GRANT ALL ON SCHEMA public TO limited`);
    const limited = new URL(url);
    limited.username = 'limited';
    limited.password = 'limited';
    try {
      await assert.rejects(migrate(limited.href), (error: unknown) => error instanceof CallerError && error.code === 'BAD_CONFIG' && /CREATE EXTENSION pg_trgm/.test(error.message));
    } finally {
      await query(url, 'DROP OWNED BY limited; DROP ROLE limited');
    }
  }));

test('a server that is not there is an outside error', async () => {
  await assert.rejects(migrate('postgresql://nobody:x@127.0.0.1:1/none'), (error: unknown) => error instanceof OutsideError && error.system === 'postgres');
});

/** More than are read at once. */
const FEATURES = 260;

async function connected<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Rows as the program wrote them before what people add to a catalog, in SQL of that time: two dictionaries, edges between them. */
async function oldCatalog(client: Client): Promise<void> {
  await client.query(`INSERT INTO model (name, architecture, layers, d_model, vocab_size, context_length, parameters, weights_hash, tokenizer_hash, source) VALUES ('m', 'gpt2', 2, 2, 50, 4, 5, '', '', '');
    INSERT INTO run (key, stage, params, inputs, seed, code_version, started_at, metrics) VALUES ('r', 'train', '{}', '{}', 1, '', now(), '{}');
    INSERT INTO dictionary (id, model_id, name, hook_point, layer, architecture, d_in, n_features, input_scale, weights_hash, location, train_run) SELECT n, 1, 'd' || n, 'resid_post.0', 0, 'tied', 2, ${FEATURES}, 1, 'h', 'l', 'r' FROM generate_series(1, 2) n;
    INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, best_score, fragments, judged_on) SELECT 1, i, 'pattern-v1', 'commas', '{}', 'r', i / 4.0, '', '{}' FROM generate_series(0, 3) i;
    INSERT INTO circuit_edge SELECT 2, i, 1, i + 1, 0.5, 0.5, 0.1, 3, 'r' FROM generate_series(0, 4) i;
    INSERT INTO output_edge SELECT 1, i, 1, 7, 0.5, 0.5, 0.1, 3, 'r' FROM generate_series(0, 1) i`);
  for (const id of [1, 2]) {
    for (let index = 0; index < FEATURES; index++) {
      const { maxActivation, exemplars } = seedFeature(id, index, FEATURES, 3);
      await client.query(`INSERT INTO feature (dictionary_id, "index", density, max_activation, histogram, top_logits, bottom_logits, neighbours, explained) VALUES ($1, $2, 0.1, $3, '', '', '', '', $4)`, [id, index, maxActivation, id === 1 && index < 4]);
      for (const kind of ['top', 'quantile', 'random'] as const) await client.query('INSERT INTO exemplar VALUES ($1, $2, $3, 4, $4)', [id, index, kindCode(kind), packWindows(exemplars.filter((one) => one.kind === kind))]);
    }
  }
}

const rowsOf = async (client: Client, text: string) => (await client.query<Record<string, unknown>>(text)).rows;

test('a catalog of before access, tokens, filters and search has, once migrated, what a load would have written', () =>
  withFolder((folder) =>
    withDatabase(async (url) => {
      const { baseDir, migrationDirectories } = await readMigrations();
      await cp(baseDir, folder, { recursive: true });
      for (const { path } of migrationDirectories) if (path >= '20261124') await rm(join(folder, path), { recursive: true });
      await migrate(url, { folder });
      await connected(url, oldCatalog);
      await migrate(url);
      assert.equal(await drift(url), '');
      await connected(url, async (client) => {
        const wanted = [1, 2].flatMap((id) =>
          Array.from({ length: FEATURES }, (_, index) => firedTokens(seedFeature(id, index, FEATURES, 3)).map((token) => ({ id, index, ...token }))).flat(),
        );
        const tokens = `SELECT dictionary_id AS id, "index", token_id AS "tokenId", activation, share, count FROM feature_token ORDER BY 1, 2, activation DESC, token_id`;
        assert.deepEqual(await rowsOf(client, tokens), wanted);
        assert.deepEqual(await rowsOf(client, 'SELECT dictionary_id AS id, "index", edges FROM feature WHERE edges <> 0 ORDER BY 1, 2'), [
          ...[[0, 4], [1, 6], [2, 2], [3, 2], [4, 2], [5, 2]].map(([index, edges]) => ({ id: 1, index, edges })),
          ...[0, 1, 2, 3, 4].map((index) => ({ id: 2, index, edges: 1 })),
        ]); // prettier-ignore
        assert.deepEqual(await rowsOf(client, `SELECT "index" FROM explanation WHERE search @@ to_tsquery('feature_text', 'comma') ORDER BY place`), [3, 2, 1, 0].map((index) => ({ index })));
        assert.deepEqual(await rowsOf(client, 'SELECT restricted FROM model'), [{ restricted: false }]);
        // A process that was killed before it had filled all: the next one does.
        await client.query('DELETE FROM feature_token WHERE dictionary_id = 2');
        assert.deepEqual(await migrate(url), []);
        assert.deepEqual(await rowsOf(client, tokens), wanted);
      });
    }),
  ));

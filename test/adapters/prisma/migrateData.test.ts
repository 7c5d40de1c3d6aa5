import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { firedTokens } from '../../../src/adapters/prisma/featureTokens.ts';
import { drift, migrate } from '../../../src/adapters/prisma/migrate.ts';
import { readMigrations } from '../../../src/adapters/prisma/migrations.ts';
import { kindCode, packWindows } from '../../../src/adapters/prisma/pack.ts';
import { seedFeature } from '../../helpers/seedCatalog.ts';
import { withDatabase } from '../../helpers/withCatalog.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const FEATURES = 300; // more than are read at once

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

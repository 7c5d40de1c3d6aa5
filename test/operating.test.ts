import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../src/config.ts';
import { HTTP_SETTINGS } from '../src/graphql/settings.ts';
import { openOperating } from '../src/operating.ts';
import { withFolder } from './helpers/withFolder.ts';

test('the environment reaches the server: what is absent is the server\'s own default', async () => {
  const plain = await openOperating(readConfig({}).api);
  assert.deepEqual(plain.server.http, { metricsOpen: false });
  assert.notEqual(plain.server.meters, undefined);
  assert.deepEqual([plain.server.safelist, plain.server.tracer, plain.database.tracer], [undefined, undefined, undefined]);
  assert.equal(plain.database.statementSeconds, HTTP_SETTINGS.requestSeconds);
  await plain.close();
  const set = await openOperating(readConfig({ REQUEST_SECONDS: '0', HOSTS: 'a.example', MAX_COST: '5', METRICS: 'off', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', DATABASE_CONNECTIONS: '3' }).api);
  assert.deepEqual(set.server.http, { hosts: ['a.example'], requestSeconds: 0, metricsOpen: false });
  assert.equal(set.server.limits?.cost, 5);
  assert.equal(set.server.meters, undefined);
  assert.deepEqual([set.database.statementSeconds, set.database.connections, set.database.tracer], [undefined, 3, set.server.tracer]);
  assert.notEqual(set.server.tracer, undefined);
  await set.close();
  const open = await openOperating(readConfig({ METRICS: 'open' }).api);
  assert.deepEqual([open.server.http?.metricsOpen, open.server.meters !== undefined], [true, true]);
  await open.close();
});

test('SAFELIST names a file; one that is not there is said so', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'operations.graphql');
    await assert.rejects(openOperating(readConfig({ SAFELIST: path }).api), { code: 'BAD_CONFIG', message: /SAFELIST cannot be read/ });
    await writeFile(path, 'query Mine { server { version } }');
    const { server, close } = await openOperating(readConfig({ SAFELIST: path }).api);
    assert.deepEqual([...server.safelist!.names], ['Mine']);
    await close();
  });
});

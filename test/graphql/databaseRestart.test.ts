import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { pino } from 'pino';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { embeddedFiles } from '../../src/adapters/prisma/embeddedFiles.ts';
import { startPostgres, type PostgresProcess } from '../../src/adapters/prisma/postgresProcess.ts';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { createLiveModels } from '../../src/catalog/liveModels.ts';
import { createPatchService } from '../../src/catalog/patch.ts';
import { createSteerService } from '../../src/catalog/steer.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { createServer } from '../../src/graphql/server.ts';
import { send } from '../helpers/graphqlClient.ts';
import { seedCatalog } from '../helpers/seedCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

/** Through Prisma, by prepared statements, by statements of their own, and through the search. */
const READS = [
  '{ models { nodes { name } } }',
  '{ feature(address: "toy/0-tied-r2/1") { address explanations { nodes { description } } exemplars(first: 2) { text } incomingEdges(first: 2) { nodes { address } } } }',
  '{ features(first: 5, orderBy: DENSITY_DESC) { nodes { address density } } }',
  '{ searchFeatures(query: "layer", first: 3) { edges { relevance } } }',
];
const READERS = 6;

test('PostgreSQL stopped, killed and started under load: errors say so meanwhile, and all is well after', async (t) => {
  await withFolder(async (home) => {
    await mkdir(embeddedFiles(home).folder, { recursive: true });
    let postgres = await startPostgres(home, 'secret');
    const port = Number(new URL(postgres.url).port);
    const catalog = await openCatalog({ home, databaseUrl: postgres.url, statementSeconds: 10 });
    await seedCatalog(catalog.writer, { features: 12 });
    const missing = async (): Promise<never> => {
      throw new CallerError('MODEL_UNAVAILABLE', 'no files');
    };
    const { reader } = catalog;
    const live = createLiveModels({ reader, openModel: missing, openTokenizer: missing, openGenerator: missing, openChatTemplate: missing, readDictionary: missing, dictionaryBytes: 1e6 });
    const parts = { reader, live, codeVersion: 'test' };
    const server = await createServer({
      catalog: createCatalog({ reader, search: catalog.search, live, patches: createPatchService(parts), steers: createSteerService(parts), version: 'test' }),
      host: '127.0.0.1',
      port: 0,
      log: pino({ level: 'silent' }),
    });
    const ready = async (): Promise<number> => (await fetch(new URL('/ready', server.url))).status;
    const stop = new AbortController();
    const codes = new Map<string, number>();
    const total = (code: string): number => codes.get(code) ?? 0;
    const reading = Array.from({ length: READERS }, async (_, reader) => {
      for (let i = reader; !stop.signal.aborted; i++) {
        const { status, errors } = await send(server.url, READS[i % READS.length]!);
        assert.equal(status, 200);
        const code = String(errors[0]?.extensions['code'] ?? 'ok');
        codes.set(code, total(code) + 1);
        // Who gets an error comes back a little later.
        if (code !== 'ok') await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    const more = async (code: string, count: number): Promise<void> => {
      for (const goal = total(code) + count; total(code) < goal; ) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    try {
      await more('ok', 40);
      for (const way of ['stopped', 'killed'] as const) {
        if (way === 'stopped') await postgres.stop();
        else {
          process.kill(postgres.pid, 'SIGKILL');
          await postgres.ended;
        }
        await more('SERVICE_UNAVAILABLE', 30);
        assert.equal(await ready(), 503, way);
        // Another test's connection may hold the port for a moment.
        const again = (tries: number): Promise<PostgresProcess> => startPostgres(home, 'secret', port).catch((error: unknown) => (tries === 0 ? Promise.reject(error as Error) : again(tries - 1)));
        postgres = await again(5);
        await more('ok', 40);
        assert.equal(await ready(), 200, way);
        // Every reader's connection is a new one by now.
        const failed = total('SERVICE_UNAVAILABLE');
        await more('ok', 40);
        assert.equal(total('SERVICE_UNAVAILABLE'), failed, way);
      }
      assert.deepEqual([...codes.keys()].sort(), ['SERVICE_UNAVAILABLE', 'ok']);
      t.diagnostic(JSON.stringify(Object.fromEntries(codes)));
    } finally {
      stop.abort();
      await Promise.allSettled(reading).then((all) => assert.deepEqual(all.filter(({ status }) => status === 'rejected'), []));
      await server.close();
      await catalog.close();
      await postgres.stop();
    }
  });
});

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { prometheusMeters } from '../../src/adapters/telemetry/prometheusMeters.ts';
import { at, type Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

const SEED = { features: 10, layers: 1 };

/** A request whose headers fetch would not let through. */
async function raw(url: string, headers: Record<string, string>, method = 'GET'): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    call.on('error', reject);
    call.end();
  });
}

test('Host: bound to loopback it answers to names of loopback, and to those of HOSTS', async () => {
  await withServer({ seed: SEED }, async ({ base }) => {
    const { port } = new URL(base);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]:1', 'x.localhost']) assert.equal((await raw(`${base}/health`, { host })).status, 200, host);
    for (const host of ['example.org', `127.0.0.1.example.org:${port}`, 'localhost.example.org']) {
      for (const path of ['/health', '/graphql', '/', '/metrics']) assert.equal((await raw(base + path, { host })).status, 421, host);
    }
  });
  await withServer({ seed: SEED, server: { http: { hosts: ['catalog.example.org'] } } }, async ({ base }) => {
    for (const [host, status] of [['catalog.example.org', 200], ['CATALOG.example.org:8443', 200], ['localhost', 200], ['example.org', 421]] as const) {
      assert.equal((await raw(`${base}/health`, { host })).status, status, host);
    }
  });
});

test('CORS: no origin by default; those listed, and no other', async () => {
  const preflight = { origin: 'https://app.example.org', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,authorization' };
  await withServer({ seed: SEED }, async ({ url }) => {
    const { headers } = await raw(url, preflight, 'OPTIONS');
    assert.equal(headers['access-control-allow-origin'], undefined);
  });
  await withServer({ seed: SEED, server: { http: { corsOrigins: ['https://app.example.org'] } } }, async ({ url, send }) => {
    const allowed = await raw(url, preflight, 'OPTIONS');
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers['access-control-allow-origin'], 'https://app.example.org');
    assert.equal(allowed.headers['access-control-allow-headers'], 'content-type,authorization');
    const other = await raw(url, { ...preflight, origin: 'https://evil.example.org' }, 'OPTIONS');
    assert.equal(other.headers['access-control-allow-origin'], undefined);
    assert.equal((await send('{ server { version } }', {}, { origin: 'https://app.example.org' })).status, 200);
  });
});

test('request ids: the caller\'s where sane, otherwise one of ours; in the answer and in the log, with the client and the cost', async () => {
  await withServer({ seed: SEED }, async ({ url, log }) => {
    const post = (headers: Record<string, string>) =>
      fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query: 'query Mine { models(first: 5) { nodes { name } } }' }) });
    assert.equal((await post({ 'x-request-id': 'abc-1.2', 'graphql-client-name': 'tests' })).headers.get('x-request-id'), 'abc-1.2');
    const line = log.find((one) => one['request'] === 'abc-1.2')!;
    assert.deepEqual([line['client'], line['key'], line['viewer'], line['operation'], line['kind'], line['cost']], ['tests', null, 'anonymous', 'Mine', 'query', 6]);
    for (const odd of ['a b', 'x'.repeat(65), '<script>']) {
      const id = (await post({ 'x-request-id': odd })).headers.get('x-request-id')!;
      assert.match(id, /^[0-9a-f-]{36}$/);
    }
  });
});

test('a query that takes too long is answered TIMED_OUT; its late answer goes nowhere', async () => {
  const held: (() => void)[] = [];
  await withServer(
    {
      seed: SEED,
      server: { http: { requestSeconds: 0.2, mutationSeconds: 30 } },
      reader: (real) => {
        const models = real.models.bind(real);
        let calls = 0;
        real.models = async () => {
          if (++calls <= 1) await new Promise<void>((resolve) => held.push(resolve));
          return models();
        };
        return real;
      },
    },
    async ({ send, log }) => {
      const { status, data, errors } = await send('{ models { nodes { name } } }');
      assert.deepEqual([status, data, errors[0]!.extensions['code']], [200, null, 'TIMED_OUT']);
      assert.match(errors[0]!.message, /longer than 0\.2 s/);
      assert.ok(log.some(({ msg }) => /longer than it may/.test(msg)));
      for (const release of held.splice(0)) release();
      // Its late answer went nowhere, and the next gets its own.
      assert.equal(at((await send('{ models { nodes { name } } }')).data, 'models.nodes.0.name'), 'toy');
    },
  );
});

test('statements of a server end in PostgreSQL when their time is over', async () => {
  const { withDatabase } = await import('../helpers/withCatalog.ts');
  const { openCatalog } = await import('../../src/adapters/prisma/catalog.ts');
  await withDatabase(async (url) => {
    const catalog = await openCatalog({ home: '', databaseUrl: url, statementSeconds: 0.3 });
    try {
      // The catalog's tables held by another session: what reads them waits, and is ended.
      const { Client } = await import('pg');
      const other = new Client({ connectionString: url });
      await other.connect();
      await other.query('BEGIN');
      await other.query('LOCK TABLE feature IN ACCESS EXCLUSIVE MODE');
      await assert.rejects(catalog.reader.features([{ dictionaryId: 1, index: 1 }]), { code: 'TIMED_OUT' });
      const { rows } = await other.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`);
      assert.deepEqual(rows, [], 'nothing waits on');
      await other.query('ROLLBACK');
      await other.end();
      assert.deepEqual(await catalog.reader.features([{ dictionaryId: 1, index: 1 }]), [null]);
    } finally {
      await catalog.close();
    }
  });
});

test('slow headers and slow bodies are cut off, half-closed connections too; others are answered meanwhile', async () => {
  await withServer({ seed: SEED, server: { http: { headersSeconds: 1, bodySeconds: 1 } } }, async ({ url, ask }) => {
    const { hostname, port } = new URL(url);
    const head = `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"query":`;
    const slow = (text: string, half: boolean): Promise<string> =>
      new Promise((resolve) => {
        let answer = '';
        const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true }, () => (half ? socket.end(text) : socket.write(text)));
        socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
        socket.on('error', () => undefined);
        socket.on('end', () => socket.end());
        socket.on('close', () => resolve(answer));
      });
    const cut = Promise.all([...Array.from({ length: 20 }, () => slow(head, false)), ...Array.from({ length: 20 }, () => slow('POST /graphql HTTP/1.1\r\nHost: lo', false)), ...Array.from({ length: 20 }, () => slow(head, true))]);
    const done = new AbortController();
    void cut.then(() => done.abort());
    let answered = 0;
    do {
      assert.equal(at(await ask('{ server { version } }'), 'server.version'), '0.0.0-test');
      answered++;
    } while (!done.signal.aborted);
    assert.ok(answered > 20);
    for (const answer of await cut) assert.match(answer, /^(HTTP\/1\.1 4\d\d |$)/);
  });
});

test('connections beyond the limit are closed; those there go on', async () => {
  await withServer({ seed: SEED, server: { http: { connections: 3 } } }, async ({ base }) => {
    const { hostname, port } = new URL(base);
    const closed: number[] = [];
    const sockets = Array.from({ length: 6 }, (_, i) => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      socket.on('close', () => closed.push(i));
      return socket;
    });
    while (closed.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    const alive = sockets.filter((_, i) => !closed.includes(i));
    assert.equal(alive.length, 3);
    const answer = await new Promise<string>((resolve) => {
      alive[0]!.once('data', (chunk: Buffer) => resolve(chunk.toString()));
      alive[0]!.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    });
    assert.match(answer, /^HTTP\/1\.1 200/);
    for (const socket of sockets) socket.destroy();
  });
});

test('metrics: operations by kind and outcome, cost, runs, pool of the process; names bounded; nowhere without them', async () => {
  await withServer({ seed: SEED, server: { meters: prometheusMeters() } }, async ({ base, send }) => {
    await send('query Mine { models { nodes { name } } }');
    await send('query Mine { models { nodes { name } } }');
    await send('{ nope }');
    await send('query Mine { feature(address: "bad") { id } }');
    for (let i = 0; i < 60; i++) await send(`query N${i} { server { version } }`);
    const page = await fetch(`${base}/metrics`);
    assert.match(page.headers.get('content-type')!, /^text\/plain/);
    const text = await page.text();
    assert.match(text, /catalog_operations_total\{kind="query",outcome="ok",operation="Mine"\} 2/);
    assert.match(text, /catalog_operations_total\{kind="none",outcome="refused",operation=""\} 1/);
    assert.match(text, /catalog_operations_total\{kind="query",outcome="errors",operation="Mine"\} 1/);
    assert.match(text, /catalog_operations_total\{kind="query",outcome="ok",operation="other"\} 11/);
    assert.match(text, /catalog_operation_duration_seconds_count\{kind="query"\} 63/);
    assert.match(text, /catalog_operation_cost_sum\{kind="query"\} \d+/);
    for (const name of ['catalog_live_running 0', 'catalog_live_waiting 0', 'catalog_streams_open 0', 'nodejs_eventloop_lag_seconds', 'process_resident_memory_bytes']) assert.ok(text.includes(name), name);
  });
  await withServer({ seed: SEED }, async ({ base }) => assert.equal((await fetch(`${base}/metrics`)).status, 404));
});

test('while it drains the server says 503 at /ready and still answers', async () => {
  await withServer({ seed: SEED }, async (outer) => {
    const { createServer } = await import('../../src/graphql/server.ts');
    const { pino } = await import('pino');
    const { createCatalog } = await import('../../src/catalog/catalog.ts');
    const server = await createServer({
      catalog: createCatalog({ reader: outer.catalog.reader, search: outer.catalog.search, version: 'test' } as unknown as Parameters<typeof createCatalog>[0]),
      host: '127.0.0.1',
      port: 0,
      log: pino({ level: 'silent' }),
      http: { drainSeconds: 1 },
    });
    const ready = async (): Promise<Json> => {
      const answer = await fetch(new URL('/ready', server.url));
      return { status: answer.status, body: (await answer.json()) as Json };
    };
    assert.deepEqual(await ready(), { status: 200, body: { status: 'ready' } });
    const closed = server.close();
    assert.deepEqual(await ready(), { status: 503, body: { status: 'stopping' } });
    const answer = await fetch(server.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"{ models { nodes { name } } }"}' });
    assert.equal(answer.status, 200);
    await closed;
    await assert.rejects(fetch(server.url));
  });
});

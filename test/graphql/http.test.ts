import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { getIntrospectionQuery } from 'graphql';
import { at } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

test('the server over HTTP', async (t) => {
  await withServer({ seed: { features: 10, layers: 1 }, server: { http: { bodyBytes: 20_000 } } }, async ({ url, base, send, catalog }) => {
    const post = (body: string, headers: Record<string, string> = JSON_TYPE) => fetch(url, { method: 'POST', headers, body });

    await t.test('health and readiness', async () => {
      const health = await fetch(`${base}/health`);
      assert.deepEqual([health.status, await health.json()], [200, { status: 'ok', version: '0.0.0-test' }]);
      const ready = await fetch(`${base}/ready`);
      assert.deepEqual([ready.status, await ready.json()], [200, { status: 'ready' }]);
    });

    await t.test('application/graphql-response+json: 200 when executed, 400 when not', async () => {
      const accept = { accept: 'application/graphql-response+json' };
      for (const [query, status] of [['{ server { version } }', 200], ['{ feature(address: "bad") { id } }', 200], ['{ nope }', 400], ['{', 400]] as const) {
        const answer = await send(query, undefined, accept);
        assert.equal(answer.status, status, query);
        assert.match(answer.contentType, /^application\/graphql-response\+json/);
      }
      assert.match((await send('{ server { version } }')).contentType, /^application\/json/);
    });

    await t.test('queries by GET with a preflight header; not mutations; cross-site forms are refused', async () => {
      const get = (query: string, headers: Record<string, string>) => fetch(`${url}?query=${encodeURIComponent(query)}`, { headers });
      const preflight = { 'apollo-require-preflight': '1' };
      const answer = await get('{ server { version } }', preflight);
      assert.equal(at((await answer.json()) as never, 'data.server.version'), '0.0.0-test');
      assert.equal((await get('mutation { patch(input: {model: "m", base: "b", features: []}) { userErrors { code } } }', preflight)).status, 405);
      // What a page elsewhere can make a browser send: with Sec-Fetch-Site, or over plain HTTP without.
      const browser = { 'user-agent': 'Mozilla/5.0 (X11) Firefox/140.0' };
      for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://example.org' }, { referer: 'https://example.org/' }, browser] as Record<string, string>[]) {
        const blocked = await get('{ server { version } }', headers);
        assert.equal(blocked.status, 400, JSON.stringify(headers));
        assert.match(await blocked.text(), /CSRF/);
      }
      for (const headers of [{}, { ...browser, 'sec-fetch-site': 'same-origin' }, { ...browser, 'sec-fetch-site': 'none' }] as Record<string, string>[]) {
        assert.equal((await get('{ server { version } }', headers)).status, 200, JSON.stringify(headers));
      }
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
        const form = await post('{"query":"{ server { version } }"}', { 'content-type': type });
        assert.equal(form.status, 400, type);
      }
    });

    await t.test('bodies: too large, broken, empty, cut off', async () => {
      const large = await post(JSON.stringify({ query: `{ server { version } } #${'x'.repeat(30_000)}` }));
      assert.equal(large.status, 413);
      assert.equal(at((await large.json()) as never, 'errors.0.extensions.code'), 'LIMIT_EXCEEDED');
      for (const body of ['{"query":', '', '[]', '{}', '"x"', '{"query":5}', '{"query":"{ server { version } }","variables":5}']) {
        const answer = await post(body);
        assert.equal(answer.status, 400, body);
        assert.match(await answer.text(), /"errors"/);
      }
    });

    await t.test('limits refuse before running: cost with variables, depth, aliases, tokens', async () => {
      catalog.statements.length = 0;
      const deep = '{ feature(address: "a/b/0") { ' + 'incomingEdges(first: 1) { nodes { '.repeat(12) + 'index' + ' } }'.repeat(12) + ' } }';
      const cases = [
        ['query ($n: Int!) { features(first: $n) { nodes { incomingEdges(first: $n) { nodes { outgoingEdges(first: $n) { nodes { id } } } } } } }', { n: 100 }, 'cost'],
        [deep, {}, 'depth'],
        [`{ ${Array.from({ length: 61 }, (_, i) => `a${i}: server { version }`).join(' ')} }`, {}, 'aliases'],
      ] as const;
      for (const [query, variables, limit] of cases) {
        const { status, errors } = await send(query, variables);
        assert.equal(status, 400);
        assert.equal(errors[0]!.extensions['code'], 'LIMIT_EXCEEDED');
        assert.equal(errors[0]!.extensions['limit'], limit);
      }
      const tokens = await send(`{ ${'server { version } '.repeat(800)} }`);
      assert.match(tokens.errors[0]!.message, /3000 tokens/);
      assert.deepEqual(catalog.statements, []);
    });

    await t.test('the cost is told with the answer; introspection is open', async () => {
      const { extensions } = await send('{ models(first: 5) { nodes { name } } }');
      assert.deepEqual(extensions, { cost: { found: 6, allowed: 100_000, nodes: 6, depth: 3 } });
      const { data, errors } = await send(getIntrospectionQuery());
      assert.deepEqual(errors, []);
      const types = at(data, '__schema.types') as { name: string; description: string | null }[];
      assert.deepEqual(types.filter(({ name, description }) => !name.startsWith('__') && description === null), []);
    });

    await t.test('fragment cycles and hostile nesting are answers, not crashes', async () => {
      for (const query of [
        '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A server { version } }',
        `{ ${'a { '.repeat(1400)}`,
        `{ __schema { ${'types { fields { type { '.repeat(6)} name ${'} } }'.repeat(6)} } }`,
        'query A { server { version } } query B { server { version } }',
        'subscription { x }',
      ]) {
        const { status, errors } = await send(query);
        assert.equal(status, 400, query.slice(0, 60));
        assert.ok(errors.length > 0);
      }
    });

    await t.test('the page with the IDE loads nothing from elsewhere', async () => {
      for (const [path, headers] of [['/', {}], ['/graphql?query=%7Bserver%7Bversion%7D%7D', { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' }]] as const) {
        const page = await fetch(base + path, { headers });
        const html = await page.text();
        assert.match(page.headers.get('content-type')!, /^text\/html/);
        const policy = page.headers.get('content-security-policy')!;
        assert.doesNotMatch(policy, /https?:|\*/);
        assert.match(policy, /default-src 'none'/);
        const loaded = [...html.matchAll(/<(?:script|link|img|iframe|source|video|audio|object|embed|base|form)\b[^>]*?\b(?:src|href|data|action)="([^"]*)"/g)].map(([, address]) => address!);
        assert.ok(loaded.includes('/ide/graphiql.js'));
        for (const address of loaded) assert.match(address, /^(\/[a-z]|data:)/);
        assert.doesNotMatch(html, /@import|url\(/);
        for (const address of loaded.filter((one) => one.startsWith('/'))) {
          const asset = await fetch(base + address);
          assert.equal(asset.status, 200, address);
          const text = await asset.text();
          if (address.endsWith('.css')) {
            for (const [, target] of text.matchAll(/(?:@import\s+|url\(\s*)["']?([^"')\s]+)/g)) assert.match(target!, /^(data:|#)/, address);
          }
        }
      }
      for (const worker of ['editor', 'json', 'graphql']) {
        const script = await fetch(`${base}/ide/worker-${worker}.js`);
        assert.equal(script.status, 200);
        assert.doesNotMatch(await script.text(), /importScripts\(["']https?:/);
      }
    });

    await t.test('the page opens with operations that run on this catalog', async () => {
      const html = await (await fetch(`${base}/`)).text();
      const examples = JSON.parse(/<script type="application\/json" id="examples">(.*?)<\/script>/s.exec(html)![1]!) as { title: string; query: string }[];
      assert.deepEqual(examples.map(({ title }) => title), ['What is here', 'One feature', 'What feeds it', 'Search', 'Read a text', 'Patch']);
      for (const { title, query } of examples) {
        const { errors, data } = await send(query);
        // The toy model has no files: reading a text is refused with a reason, the rest runs.
        if (title === 'Read a text') assert.equal(errors[0]!.extensions['code'], 'MODEL_UNAVAILABLE');
        else assert.deepEqual(errors, [], title);
        if (title === 'One feature') assert.notEqual(at(data, 'feature'), null);
        if (title === 'Search') assert.notDeepEqual(at(data, 'searchFeatures.edges'), []);
      }
    });

    await t.test('files of the IDE are cached and compressed', async () => {
      const first = await fetch(`${base}/ide/start.js`);
      const etag = first.headers.get('etag')!;
      assert.equal(first.headers.get('content-encoding'), 'gzip');
      assert.equal((await fetch(`${base}/ide/start.js`, { headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' } })).status, 304);
      assert.equal((await fetch(`${base}/ide/nothing.js`)).status, 404);
    });

    await t.test('security headers everywhere, no server name', async () => {
      for (const path of ['/', '/health', '/nothing', '/graphql']) {
        const { headers } = await fetch(base + path);
        assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
        assert.equal(headers.get('x-powered-by'), null);
      }
    });
  });
});

test('closing finishes requests under way and refuses new ones', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let arrived = (): void => undefined;
  const reached = new Promise<void>((resolve) => (arrived = resolve));
  let pending: Promise<unknown> | undefined;
  let address: URL | undefined;
  await withServer(
    {
      seed: { features: 10, layers: 1 },
      reader: (real) => {
        const models = real.models.bind(real);
        real.models = async () => {
          arrived();
          await held;
          return models();
        };
        return real;
      },
    },
    async ({ url, send }) => {
      address = new URL(url);
      pending = send('{ models { nodes { name } } }');
      await reached;
      setImmediate(release);
      // withServer closes the server now, with the request under way.
    },
  );
  assert.equal(at((await pending) as never, 'data.models.nodes.0.name'), 'toy');
  await assert.rejects(
    new Promise((resolve, reject) => {
      const socket = connect(Number(address!.port), address!.hostname, () => resolve(socket.destroy()));
      socket.on('error', reject);
    }),
    { code: 'ECONNREFUSED' },
  );
});

test('a taken port is said so', async () => {
  await withServer({ seed: { features: 10, layers: 1 } }, async ({ url }) => {
    await assert.rejects(withServer({ seed: { features: 10, layers: 1 }, server: { port: Number(new URL(url).port) } }, async () => undefined), {
      code: 'BAD_CONFIG',
      message: /is in use: set PORT/,
    });
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { LIMITS } from '../../src/catalog/limits.ts';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { MANY, TINY, withTinyServer, type TinyServer } from './withTinyServer.ts';

const RUN = 'hash editMagnitude positions { klFromBase } features { before }';
const PATCH = `mutation ($input: PatchInput!) { patch(input: $input) { patchRun { ${RUN} } userErrors { code message retryAfterSeconds } } }`;
const STREAM = `subscription Watch($input: PatchesInput!) { patches(input: $input) { done total index patchRun { ${RUN} } userErrors { code field } } }`;

function ablated(i: number, more: Record<string, Json> = {}): Record<string, Json> {
  return { model: TINY, base: `w5 w9 w11 w${30 + Math.floor(i / MANY)}`, features: [{ feature: `${TINY}/many/${i % MANY}`, operation: 'ABLATE' }], ...more };
}

function subscribe(server: TinyServer, query: string, variables: Json, options: { signal?: AbortSignal; headers?: Record<string, string> } = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream', ...options.headers };
  return fetch(`${server.url}/stream`, { method: 'POST', headers, body: JSON.stringify({ query, variables }), ...(options.signal === undefined ? {} : { signal: options.signal }) });
}

/** Payloads of `next` events, as they come; ends at `complete`. */
async function* events(response: Response): AsyncGenerator<Json, void, undefined> {
  let text = '';
  for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
    text += bytes;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const message = text.slice(0, end);
      text = text.slice(end + 2);
      if (message.startsWith('event: complete')) return;
      const data = /^data: (.*)$/m.exec(message);
      if (data !== null) yield JSON.parse(data[1]) as Json;
    }
  }
  throw new Error('the stream broke off');
}

async function stored({ catalog }: TinyServer): Promise<number> {
  const [{ count }] = (await catalog.sql<{ count: string }>('SELECT count(*) FROM patch_run')) as [{ count: string }];
  return Number(count);
}

/** A number once it has stayed the same for a while. */
async function settled(read: () => Promise<number>): Promise<number> {
  let [last, same] = [await read(), 0];
  while (same < 10) {
    await wait(50);
    const now = await read();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

test('patches as a stream', async (t) => {
  await withTinyServer(async (server) => {
    const { ask, hold, forwards } = server;

    await t.test('every patch is told once, with its errors; runs are those of `patch`', async () => {
      const patches: Json[] = Array.from({ length: 40 }, (_, i) => ablated(i));
      patches[7] = ablated(7, { base: '' });
      patches[20] = ablated(20, { features: [{ feature: 'nonsense', operation: 'ABLATE' }] });
      patches[30] = patches[3]!;
      const response = await subscribe(server, STREAM, { input: { patches } });
      assert.match(response.headers.get('content-type')!, /^text\/event-stream/);
      const found = new Map<number, Json>();
      let done = 0;
      for await (const event of events(response)) {
        const one = at(event, 'data.patches');
        assert.deepEqual([at(one, 'done'), at(one, 'total')], [++done, patches.length]);
        found.set(Number(at(one, 'index')), one);
      }
      assert.deepEqual([...found.keys()].sort((a, b) => a - b), patches.map((_, i) => i));
      assert.deepEqual(at(found.get(7)!, 'userErrors.0'), { code: 'BAD_INPUT', field: ['base'] });
      assert.deepEqual(at(found.get(20)!, 'userErrors.0'), { code: 'BAD_INPUT', field: ['features', '0', 'feature'] });
      for (const i of [0, 3, 30, 39]) assert.deepEqual(at(found.get(i)!, 'patchRun'), at(await ask(PATCH, { input: patches[i] }), 'patch.patchRun'));
      assert.equal(await stored(server), 37);
    });

    await t.test('a client that goes away: what has not begun is not run', async () => {
      const before = await stored(server);
      const gone = new AbortController();
      const response = await subscribe(server, STREAM, { input: { patches: Array.from({ length: 160 }, (_, i) => ablated(1000 + i)) } }, { signal: gone.signal });
      const reading = events(response);
      await reading.next();
      const release = hold();
      const begun = forwards();
      gone.abort();
      await assert.rejects(async () => {
        for (;;) if ((await reading.next()).done === true) break;
      });
      // The server has seen it go: its next group never comes.
      await wait(200);
      release();
      const after = await settled(() => stored(server));
      assert.ok(after - before <= 3 * LIMITS.streamGroup, `${after - before} were run, ${begun} forward runs before`);
      // Its place is free again.
      assert.equal((await subscribe(server, STREAM, { input: { patches: [ablated(1)] } })).status, 200);
    });

    await t.test('a client that waits in the queue and goes away leaves it', async () => {
      const release = hold();
      const busy = Array.from({ length: LIMITS.liveRunning }, (_, i) => ask(PATCH, { input: ablated(3000 + i) }));
      await wait(100);
      const before = await stored(server);
      const gone = new AbortController();
      const response = await subscribe(server, STREAM, { input: { patches: [ablated(3100)] } }, { signal: gone.signal });
      assert.equal(response.status, 200);
      await wait(100);
      gone.abort();
      await wait(100);
      release();
      await Promise.all(busy);
      assert.equal((await settled(() => stored(server))) - before, LIMITS.liveRunning);
    });

    await t.test('a slow client is waited for, and gets everything in the end', async () => {
      const base = 'w7 '.repeat(model(server)).trim();
      const big = (i: number): Json => ablated(i, { base, allPositions: true, topTokens: 50, features: [{ feature: `${TINY}/many/${i % MANY}`, operation: 'ABLATE', positions: [-1 - (i % 40)] }] });
      const patches = Array.from({ length: 96 }, (_, i) => big(i));
      const before = await stored(server);
      const query = STREAM.replace(RUN, `${RUN} tokens positions { changes { id token baseLogProb patchedLogProb baseRank patchedRank } }`);
      const response = await subscribe(server, query, { input: { patches } });
      const halted = (await settled(() => stored(server))) - before;
      assert.ok(halted < patches.length, `all ${halted} were run for a client that reads nothing`);
      let count = 0;
      for await (const _ of events(response)) count++;
      assert.equal(count, patches.length);
      assert.equal((await stored(server)) - before, patches.length);
    });

    await t.test('what is no subscription, or too much, is refused as at /graphql', async () => {
      const one = { input: { patches: [ablated(1)] } };
      const refused = async (response: Response, status: number): Promise<Json> => {
        assert.equal(response.status, status);
        return at((await response.json()) as Json, 'errors.0');
      };
      assert.match(String(at(await refused(await subscribe(server, '{ server { version } }', {}), 400), 'message')), /answered at \/graphql/);
      assert.match(String(at(await refused(await subscribe(server, 'subscription { nope }', {}), 400), 'message')), /nope/);
      assert.match(String(at(await refused(await subscribe(server, 'subscription {', {}), 400), 'message')), /Syntax/);
      await refused(await subscribe(server, STREAM, one, { headers: { accept: 'application/json' } }), 400);
      await refused(await subscribe(server, STREAM, one, { headers: { 'content-type': 'text/plain' } }), 400);
      const costly = `subscription ($input: PatchesInput!) { patches(input: $input) { patchRun { features { feature { incomingEdges(first: 100) { nodes { incomingEdges(first: 100) { nodes { outgoingEdges(first: 100) { nodes { index } } } } } } } } } } }`;
      assert.equal(at(await refused(await subscribe(server, costly, one), 400), 'extensions.code'), 'LIMIT_EXCEEDED');
      const main = await server.send(STREAM, one);
      assert.deepEqual([main.status, main.errors[0]!.extensions['code']], [400, 'BAD_REQUEST']);
      for (const patches of [[], Array.from({ length: LIMITS.streamedPatches + 1 }, () => ablated(1))]) {
        const { value: event } = await events(await subscribe(server, STREAM, { input: { patches } })).next();
        assert.match(String(at(event as Json, 'errors.0.extensions.code')), patches.length === 0 ? /BAD_INPUT/ : /LIMIT_EXCEEDED/);
      }
    });
  });
});

test('a thousand patches at once: none lost, none wrong, reads go on, who is refused comes back', async (t) => {
  const N = 1000;
  const results = new Map<number, Json>();
  await withTinyServer(async ({ ask, send }) => {
    let refusals = 0;
    let finished = 0;
    let readsMeanwhile = 0;
    const patch = async (i: number): Promise<void> => {
      for (;;) {
        const answer = at((await send(PATCH, { input: ablated(i) })).data, 'patch');
        const [error] = list(answer, 'userErrors');
        if (error === undefined) {
          results.set(i, at(answer, 'patchRun'));
          finished++;
          return;
        }
        assert.equal(at(error, 'code'), 'BUSY');
        refusals++;
        await wait(1000 * Number(at(error, 'retryAfterSeconds')));
      }
    };
    const all = Promise.all(Array.from({ length: N }, (_, i) => patch(i)));
    while (results.size < N) {
      // A patch that fails ends the test.
      const data = await Promise.race([ask('{ features(filter: { dictionaries: ["many"] }, first: 20) { nodes { address } } }'), all.then(() => null)]);
      if (data === null) break;
      assert.equal(list(data, 'features.nodes').length, 20);
      if (finished < N) readsMeanwhile++;
      await wait(100);
    }
    await all;
    t.diagnostic(`${refusals} refusals, ${readsMeanwhile} reads answered meanwhile`);
    assert.equal(results.size, N);
    assert.ok(readsMeanwhile >= 10);
    assert.equal(new Set([...results.values()].map((run) => at(run, 'hash'))).size, N);
  });
  // On a fresh catalog, one after the other: the same to the bit.
  await withTinyServer(async ({ ask }) => {
    for (let i = 0; i < N; i += 20) assert.deepEqual(at(await ask(PATCH, { input: ablated(i) }), 'patch.patchRun'), results.get(i));
  });
});

function model({ model: { info } }: TinyServer): number {
  return info.contextLength;
}

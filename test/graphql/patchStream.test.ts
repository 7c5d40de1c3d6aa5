import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { logSoftmax } from '../../src/causal/divergence.ts';
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
  let unread: Response | undefined;
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
      // Events of 150 kB that cost little to make: the prompt has much room between its words, and is answered fifty times.
      const patches = Array.from({ length: 4 * LIMITS.streamGroup }, (_, i) => ablated(i, { base: `w7${' '.repeat(3000)}w9` }));
      const before = await stored(server);
      const query = STREAM.replace('hash', Array.from({ length: 50 }, (_, n) => `b${n}: base`).join(' '));
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
      const field = 'patches(input: { patches: [] }) { done }';
      for (const skipped of [`${field.replace('{ done', '@skip(if: true) { done')}`, `... @include(if: false) { ${field} }`, '...F']) {
        const query = `subscription { ${skipped} } ${skipped === '...F' ? `fragment F on Subscription { ... { ${field.replace('{ done', '@include(if: false) { done')} } }` : ''}`;
        assert.match(String(at(await refused(await subscribe(server, query, {}), 400), 'message')), /cannot be skipped/, query);
      }
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

    // Left open, its events unread, when the server closes.
    const query = STREAM.replace('hash', Array.from({ length: 50 }, (_, n) => `b${n}: base`).join(' '));
    unread = await subscribe(server, query, { input: { patches: Array.from({ length: 4 * LIMITS.streamGroup }, (_, i) => ablated(i, { base: `w8${' '.repeat(3000)}w9` })) } });
  });
  await t.test('closing the server cuts off a stream that nobody reads', async () => {
    await assert.rejects(async () => {
      for await (const _ of events(unread!));
    });
  });
});

test('a thousand patches at once: none lost, none wrong, reads go on, who is refused comes back', async (t) => {
  const N = 1000;
  await withTinyServer(async (server) => {
    const { ask, send, forwards } = server;
    // By the engine alone, in a few runs, where nothing else goes on.
    const expected = await directly(server, N);
    const begun = forwards();
    const results = new Map<number, Json>();
    let refusals = 0;
    let readsMeanwhile = 0;
    const patch = async (i: number): Promise<void> => {
      for (;;) {
        const answer = at((await send(PATCH, { input: ablated(i) })).data, 'patch');
        const [error] = list(answer, 'userErrors');
        if (error === undefined) {
          assert.ok(!results.has(i));
          results.set(i, at(answer, 'patchRun'));
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
      if (results.size < N) readsMeanwhile++;
      await wait(100);
    }
    await all;
    t.diagnostic(`${refusals} refusals, ${readsMeanwhile} reads answered meanwhile, ${forwards() - begun} forward runs`);
    assert.ok(readsMeanwhile >= 10);
    assert.ok(refusals > 0);
    assert.equal(new Set([...results.values()].map((run) => at(run, 'hash'))).size, N);
    assert.equal(await stored(server), N);
    let moved = 0;
    for (const [i, { kl, magnitude, before }] of expected.entries()) {
      const run = results.get(i)!;
      const found = [Number(at(run, 'positions.0.klFromBase')), Number(at(run, 'editMagnitude')), ...(at(run, 'features.0.before') as number[])];
      for (const [n, value] of [kl, magnitude, ...before].entries()) assert.ok(Math.abs(found[n] - value) <= 1e-5 * Math.max(1, Math.abs(value)), `patch ${i}: found ${found[n]}, expected ${value}`);
      if (kl > 1e-4) moved++;
    }
    assert.ok(moved > N / 20, `only ${moved} patches do anything`);
  });
});

interface Expected {
  readonly kl: number;
  readonly magnitude: number;
  readonly before: readonly number[];
}

/**
 * What the first `n` ablations must give, from the model's forward run and the formula alone: x′ = x − c f at every position, c
 * the rectified tied encoder's activation. Those of one prompt run together.
 */
async function directly({ model, dictionaries }: TinyServer, n: number): Promise<Expected[]> {
  const { encoder, encoderBias, decoder } = dictionaries.get('many')!;
  const { dModel: d, vocabSize } = model.info;
  const found: Expected[] = [];
  for (let from = 0; from < n; from += MANY) {
    const rows = Math.min(MANY, n - from);
    const prompt = [5, 9, 11, 30 + from / MANY];
    const cols = prompt.length;
    const one = { rows: 1, cols, ids: Int32Array.from(prompt), lengths: Int32Array.of(cols) };
    const base = await model.forward({ batch: one, edits: [], taps: ['resid_post.0'], logits: 'last' });
    const x = base.taps.get('resid_post.0')!;
    const delta = new Float32Array(rows * cols * d);
    const features = Array.from({ length: rows }, (_, j) => {
      const before = prompt.map((_, t) => {
        let c = encoderBias[j];
        for (let k = 0; k < d; k++) c += x[t * d + k] * encoder[j * d + k];
        return Math.max(0, c);
      });
      for (const [t, c] of before.entries()) for (let k = 0; k < d; k++) delta[(j * cols + t) * d + k] = -c * decoder[j * d + k];
      return before;
    });
    const batch = { rows, cols, ids: Int32Array.from({ length: rows * cols }, (_, i) => prompt[i % cols]), lengths: new Int32Array(rows).fill(cols) };
    const { logits } = await model.forward({ batch, edits: [{ at: 'resid_post.0', delta }], taps: [], logits: 'last' });
    const q = logSoftmax(base.logits!, 0, vocabSize);
    for (const [j, before] of features.entries()) {
      const p = logSoftmax(logits!, j * vocabSize, vocabSize);
      const kl = p.reduce((sum, log, v) => sum + Math.exp(log) * (log - q[v]), 0);
      // Decoder rows have length 1.
      found.push({ kl, magnitude: before.reduce((sum, c) => sum + c, 0) / cols, before });
    }
  }
  return found;
}

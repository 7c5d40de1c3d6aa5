import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { CallerError, DictionariesDocument, FeatureDocument, OutsideError, PatchDocument, PatchesDocument, ServerError, checked, createClient, nodes } from '../../clients/typescript/src/index.ts';
import { withServer } from '../graphql/withServer.ts';

/** A server that gives these answers in turn, for what no catalog does when asked to. */
async function withAnswers(answers: readonly ((request: IncomingMessage, response: ServerResponse) => void)[], work: (url: string, asked: () => readonly IncomingMessage[]) => Promise<void>): Promise<void> {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => answers[asked.push(request) - 1]!(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`, () => asked);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => (_: IncomingMessage, response: ServerResponse) => void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const failed = (code: string, more: object = {}) => ({ errors: [{ message: `it is ${code}`, extensions: { code, ...more } }] });
const DONE = { data: { feature: null } };
const ASK = { address: 'toy/0-tied-r2/1', exemplars: 1 };

test('a seeded catalog is read, and paged through', async () => {
  await withServer({ seed: { layers: 3 } }, async ({ url }) => {
    const client = createClient({ url });
    const { feature } = await client.request(FeatureDocument, ASK);
    assert.equal(feature?.explanations.nodes[0]?.description, 'the quotation in layer 0, case 1 <b>');
    const names: string[] = [];
    for await (const { name } of nodes(client, DictionariesDocument, { first: 2 }, ({ dictionaries }) => dictionaries)) names.push(name);
    assert.deepEqual(names, ['0-tied-r2', '1-tied-r2', '2-tied-r2']);
    await assert.rejects(client.request(FeatureDocument, { ...ASK, address: 'no address' }), (error) => error instanceof CallerError && error.code !== 'UNKNOWN' && error.errors.length === 1);
    const input = { model: 'toy', base: 'w', features: [{ feature: 'toy/0-tied-r2/1', operation: 'ABLATE' as const }] };
    const { patch } = await client.request(PatchDocument, { input });
    assert.throws(() => checked(patch), (error) => error instanceof CallerError && error.code === 'MODEL_UNAVAILABLE');
    await assert.rejects(client.subscribe(PatchesDocument, { input: { patches: [] } }).next(), CallerError);
  });
});

test('what is busy is asked again when it says; the key goes along; the rest is thrown by kind', async () => {
  const busy = failed('BUSY', { retryAfterSeconds: 0 });
  await withAnswers([json(200, busy), json(429, { errors: [{ message: 'wait' }] }, { 'retry-after': '0' }), json(503, 'later', { 'retry-after': '0' }), json(200, DONE)], async (url, asked) => {
    assert.deepEqual(await createClient({ url, key: 'k1' }).request(FeatureDocument, ASK), DONE.data);
    assert.deepEqual(asked().map(({ headers }) => headers.authorization), ['Bearer k1', 'Bearer k1', 'Bearer k1', 'Bearer k1']);
  });
  for (const [answer, kind, code, options] of [
    [json(200, busy), CallerError, 'BUSY', { retries: 0 }],
    [json(200, failed('BUSY', { retryAfterSeconds: 99 })), CallerError, 'BUSY', { longestWait: 10 }],
    [json(200, failed('BAD_INPUT', { field: ['a'] })), CallerError, 'BAD_INPUT', {}],
    [json(500, failed('INTERNAL_SERVER_ERROR')), ServerError, 'INTERNAL_SERVER_ERROR', {}],
    [json(200, failed('SERVICE_UNAVAILABLE')), OutsideError, 'SERVICE_UNAVAILABLE', {}],
    [json(502, '<html>'), OutsideError, 'BAD_ANSWER', {}],
    [(request: IncomingMessage) => void request.socket.destroy(), OutsideError, 'UNREACHABLE', {}],
  ] as const) {
    await withAnswers([answer], async (url, asked) => {
      await assert.rejects(createClient({ url, ...options }).request(FeatureDocument, ASK), (error) => error instanceof kind && error.code === code, code);
      assert.equal(asked().length, 1);
    });
  }
});

test('a stream that breaks off is an error, one that completes is not, and a request can be called off', async () => {
  const event = 'event: next\ndata: {"data":\ndata: {"n":1}}\n\n';
  const stream = (text: string, cut: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(text, () => (cut ? request.socket.destroy() : response.end()));
  };
  await withAnswers([stream(`:\n\n${event}event: complete\ndata:\n\n`, false), stream(event, true), stream(event, false)], async (url) => {
    const client = createClient({ url });
    for (const breaks of [false, true, true]) {
      const seen: unknown[] = [];
      const all = (async () => {
        for await (const data of client.subscribe(PatchesDocument, { input: { patches: [] } })) seen.push(data);
      })();
      await (breaks ? assert.rejects(all, (error) => error instanceof OutsideError && error.code === 'UNREACHABLE') : all);
      assert.deepEqual(seen, [{ n: 1 }]);
    }
  });
  const abort = new AbortController();
  await withAnswers([() => abort.abort()], async (url) => {
    await assert.rejects(createClient({ url }).request(FeatureDocument, ASK, { signal: abort.signal }), (error) => error instanceof OutsideError && error.code === 'ABORTED');
  });
});

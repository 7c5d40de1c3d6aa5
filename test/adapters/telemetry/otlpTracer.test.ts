import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { otlpTracer } from '../../../src/adapters/telemetry/otlpTracer.ts';
import { withServer } from '../../graphql/withServer.ts';
import { openCatalog } from '../../../src/adapters/prisma/catalog.ts';
import { withDatabase } from '../../helpers/withCatalog.ts';

interface Value {
  readonly stringValue?: string;
  readonly intValue?: number;
}

interface Received {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly { readonly key: string; readonly value: Value }[];
}

interface Export {
  readonly resourceSpans: readonly { readonly resource: { readonly attributes: readonly { readonly key: string; readonly value: Value }[] }; readonly scopeSpans: readonly { readonly spans: readonly Received[] }[] }[];
}

/** A collector on loopback: keeps the spans it is sent. */
async function withCollector(work: (endpoint: string, spans: Received[], services: Set<string>) => Promise<void>): Promise<void> {
  const spans: Received[] = [];
  const services = new Set<string>();
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      assert.equal(request.url, '/v1/traces');
      for (const { resource, scopeSpans } of (JSON.parse(text) as Export).resourceSpans) {
        for (const { key, value } of resource.attributes) if (key === 'service.name') services.add(String(value.stringValue));
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      }
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, services);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const attribute = (span: Received, key: string): string | number | undefined => {
  const value = span.attributes.find((one) => one.key === key)?.value;
  return value?.stringValue ?? value?.intValue;
};

test('one span per request goes on with the caller\'s trace, and never holds documents or variables', async () => {
  await withCollector(async (endpoint, spans, services) => {
    const tracer = otlpTracer({ endpoint, serviceName: 'tests', version: '1' });
    await withServer({ seed: { features: 10, layers: 1 }, server: { tracer } }, async ({ url }) => {
      const body = JSON.stringify({ operationName: 'Mine', query: 'query Mine($n: Int!) { models(first: $n) { nodes { name } } }', variables: { n: 3 } });
      const headers = { 'content-type': 'application/json', traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`, 'x-request-id': 'mine' };
      assert.equal((await fetch(url, { method: 'POST', headers, body })).status, 200);
      assert.equal((await fetch(url, { method: 'POST', headers: { ...headers, traceparent: 'nonsense' }, body })).status, 200);
    });
    await tracer.close();
    assert.equal(spans.length, 2);
    const [first, second] = spans as [Received, Received];
    assert.deepEqual([first.name, first.traceId, first.parentSpanId], ['POST /graphql', 'ab'.repeat(16), 'cd'.repeat(8)]);
    assert.notEqual(second.traceId, first.traceId);
    assert.deepEqual(['catalog.request_id', 'graphql.operation.name', 'http.response.status_code'].map((key) => attribute(first, key)), ['mine', 'Mine', 200]);
    assert.doesNotMatch(JSON.stringify(spans), /nodes|"n"/);
    assert.deepEqual([...services], ['tests']);
  });
});

test('statements are spans inside of the work that sends them, also side by side and when they fail', async () => {
  await withCollector(async (endpoint, spans) => {
    const tracer = otlpTracer({ endpoint, serviceName: 'tests', version: '1' });
    await withDatabase(async (url) => {
      const catalog = await openCatalog({ home: '', databaseUrl: url, tracer });
      const read = (name: string) => tracer.span(name, {}, () => catalog.reader.features([{ dictionaryId: 1, index: 1 }]));
      assert.deepEqual(await Promise.all([read('a'), read('b')]), [[null], [null]]);
      await assert.rejects(tracer.span('c', {}, () => catalog.reader.features([{ dictionaryId: Number.NaN, index: 1 }])));
      await catalog.close();
    });
    await tracer.close();
    for (const name of ['a', 'b', 'c']) {
      const outer = spans.find((span) => span.name === name)!;
      const inner = spans.filter((span) => span.parentSpanId === outer.spanId);
      assert.deepEqual(inner.map((span) => span.name), ['features'], name);
      assert.equal(inner[0]!.traceId, outer.traceId);
      assert.equal(inner[0]!.status.code === 2, name === 'c');
      assert.match(String(attribute(inner[0]!, 'db.query.text')), /^SELECT/);
    }
  });
});

test('a collector that is not there costs the work nothing', async () => {
  const tracer = otlpTracer({ endpoint: 'http://127.0.0.1:9', serviceName: 'tests', version: '1' });
  assert.equal(await tracer.span('a', {}, async () => 5), 5);
  await tracer.close();
});

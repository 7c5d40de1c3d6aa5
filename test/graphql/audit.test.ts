import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditServer } from 'graphql-http';
import { withServer } from './withServer.ts';

test('GraphQL over HTTP: the audit suite of graphql-http passes whole, recommendations included', async () => {
  await withServer({ seed: { features: 10, layers: 1 } }, async ({ url }) => {
    const results = await auditServer({ url });
    assert.ok(results.length >= 61);
    assert.deepEqual(
      results.filter(({ status }) => status !== 'ok').map(({ id, name, status }) => ({ id, name, status })),
      [],
    );
  });
});

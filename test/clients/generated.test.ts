import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GENERATED, clientText } from '../../scripts/generateClient.ts';

test('the client is of this schema and these operations: run scripts/generateClient.ts where it is not', async () => {
  assert.equal(readFileSync(GENERATED, 'utf8'), await clientText());
});

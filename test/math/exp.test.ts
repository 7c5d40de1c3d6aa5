import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expNegative } from '../../src/math/exp.ts';

test('equals Math.exp to the last bits, from 0 down to where numbers end', () => {
  assert.equal(expNegative(0), 1);
  assert.equal(expNegative(-0), 1);
  for (let x = -708; x <= 0; x += 0.0137) assert.ok(Math.abs(expNegative(x) / Math.exp(x) - 1) < 2e-15, String(x));
  for (const x of [-1e-300, -1e-17, -1e-9, -Math.LN2, -Math.LN2 / 2048]) assert.ok(Math.abs(expNegative(x) / Math.exp(x) - 1) < 2e-15, String(x));
  for (const x of [-709, -1e6, -Infinity]) assert.equal(expNegative(x), 0);
});

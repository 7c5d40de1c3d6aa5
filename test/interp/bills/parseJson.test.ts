import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePythonJson } from '../../../src/interp/bills/parseJson.ts';

test('Python’s NaN and Infinity become null, but not inside text', () => {
  assert.deepEqual(parsePythonJson('{"a": NaN, "b": [-Infinity, 1e400], "c": "NaN \\" NaN"}', 'x'), { a: null, b: [null, Infinity], c: 'NaN " NaN' });
  assert.throws(() => parsePythonJson('{"a": Na', 'x line 3'), /x line 3: expected JSON/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cholesky } from '../../src/math/cholesky.ts';
import { normalCdf } from '../../src/math/normalCdf.ts';

test('the normal distribution function at known places', () => {
  for (const [z, share] of [[0, 0.5], [1, 0.8413447461], [-1, 0.1586552539], [1.959963985, 0.975], [-3, 0.0013498980], [8, 1]] as const) {
    assert.ok(Math.abs(normalCdf(z) - share) < 1e-7, `${z}`);
  }
});

test('a Cholesky factor times its transpose is the matrix; there is none of an indefinite one', () => {
  const matrix = Float64Array.of(4, 2, 0.6, 2, 5, 1, 0.6, 1, 3);
  const L = cholesky(matrix, 3)!;
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += L[i * 3 + k]! * L[j * 3 + k]!;
      assert.ok(Math.abs(sum - matrix[i * 3 + j]!) < 1e-12);
      if (j > i) assert.equal(L[i * 3 + j], 0);
    }
  }
  assert.equal(cholesky(Float64Array.of(1, 2, 2, 1), 2), null);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCursor, encodeCursor, scopeHash } from '../../src/catalog/cursor.ts';
import { CallerError } from '../../src/domain/errors.ts';

const shape = ['number?', 'index', 'string'] as const;

function isBadCursor(error: unknown): boolean {
  return error instanceof CallerError && error.code === 'BAD_CURSOR';
}

test('a cursor gives back what it was made of, floats exactly', () => {
  for (const values of [[0.1 + 0.2, 7, 'x'], [null, 0, ''], [-1e-300, 2 ** 31 - 1, 'ünïcode/…']]) {
    assert.deepEqual(decodeCursor('list', shape, encodeCursor('list', values)), values);
  }
});

test('anything else is BAD_CURSOR', () => {
  const bad = [
    '',
    'not a cursor!',
    'AAAA',
    Buffer.from('{}').toString('base64url'),
    Buffer.from('[]').toString('base64url'),
    encodeCursor('other', [1, 2, 'x']),
    encodeCursor('list', [1, 2]),
    encodeCursor('list', [1, 2, 'x', 4]),
    encodeCursor('list', ['1', 2, 'x']),
    encodeCursor('list', [1, -1, 'x']),
    encodeCursor('list', [1, 1.5, 'x']),
    encodeCursor('list', [1, null, 'x']),
    encodeCursor('list', [1, 2, 'nul\u0000']),
    encodeCursor('list', [1, 2, 'x'.repeat(501)]),
    'A'.repeat(5000),
  ];
  for (const cursor of bad) assert.throws(() => decodeCursor('list', shape, cursor), isBadCursor, cursor.slice(0, 40));
});

test('a scope hash tells queries apart', () => {
  assert.equal(scopeHash('a', { b: 1 }), scopeHash('a', { b: 1 }));
  assert.notEqual(scopeHash('a', { b: 1 }), scopeHash('a', { b: 2 }));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeTokens } from '../../../src/adapters/openai/placeTokens.ts';

const plain = (tokens: readonly string[], text: string): readonly number[] => placeTokens(tokens.map((token) => ({ token })), text).offsets; // prettier-ignore

test('tokens are placed along the text in UTF-16 units', () => {
  assert.deepEqual(plain(['The', ' cat', '🙂', '!'], 'The cat🙂!'), [0, 3, 7, 9]);
});

test('pieces of a character are placed at the character', () => {
  // With bytes: 🙂 is f0 9f 99 82, in two pieces.
  const tokens = [{ token: 'a', bytes: [0x61] }, { token: '\\xf0\\x9f', bytes: [0xf0, 0x9f] }, { token: '\\x99\\x82', bytes: [0x99, 0x82] }, { token: 'b', bytes: [0x62] }]; // prettier-ignore
  assert.deepEqual(placeTokens(tokens, 'a🙂b'), { offsets: [0, 1, 1, 3], end: 4 });
  assert.deepEqual(plain(['a', 'bytes:\\xf0\\x9f', 'bytes:\\x99\\x82', 'b'], 'a🙂b'), [0, 1, 1, 3]);
  assert.deepEqual(plain(['a', 'bytes: \\xf0\\x9f', 'bytes:\\x99\\x82', 'b'], 'a 🙂b'), [0, 1, 2, 4]);
  // Where servers show only that something is missing.
  assert.deepEqual(placeTokens(['a', ' \uFFFD', '\uFFFD', '\uFFFD', 'b', 'c'].map((token) => ({ token })), 'a 🙂bc'), { offsets: [0, 1, 1, 1, 4, 5], end: 6 }); // prettier-ignore
  assert.deepEqual(placeTokens(['é', '\uFFFD', '\uFFFD'].map((token) => ({ token })), 'é語'), { offsets: [0, 1, 1], end: 2 }); // prettier-ignore
});

test('a text that itself holds the mark of something missing is spelt by tokens that hold it', () => {
  assert.deepEqual(placeTokens(['a', '\uFFFD', 'b'].map((token) => ({ token })), 'a\uFFFDb'), { offsets: [0, 1, 2], end: 3 }); // prettier-ignore
});

test('marks of the text’s beginning have no width, and spaces may be shown as tokenizers write them', () => {
  assert.deepEqual(plain(['<s>', 'The', '▁cat', 'Ċ', 'Ġsat'], 'The cat\n sat'), [0, 0, 3, 7, 8]);
  assert.deepEqual(placeTokens([{ token: '<s>', bytes: [] }, { token: 'é', bytes: [0xc3, 0xa9] }], 'é'), { offsets: [0, 0], end: 1 }); // prettier-ignore
});

test('tokens that spell another text end before its end', () => {
  assert.ok(placeTokens([{ token: 'The' }, { token: ' dog' }], 'The cat').end < 7);
});

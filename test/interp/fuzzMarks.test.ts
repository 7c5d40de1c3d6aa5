import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activeMarks, markedText, marksToDraw, randomMarks } from '../../src/interp/fuzzMarks.ts';
import { showFragment } from '../../src/interp/prompts/showFragment.ts';
import { Rng } from '../../src/math/rng.ts';

test('tokens from 0.3 of the max on are marked', () => {
  assert.deepEqual(activeMarks({ row: 0, start: 0, ids: [1, 2, 3, 4, 5], activations: [0, 0.29, 0.3, 1, 0.5] }), [false, false, true, true, true]);
});

test('silent windows get the mean number of marks, rounded up, at random places', () => {
  assert.equal(marksToDraw([[true, false], [true, true], [true, false]]), 2);
  assert.equal(marksToDraw([[true, false], [false, true]]), 1);
  const counts = new Float64Array(32);
  for (let i = 0; i < 3200; i++) {
    const marks = randomMarks(32, 3, Rng.derive(1, i));
    assert.equal(marks.filter(Boolean).length, 3);
    marks.forEach((mark, t) => (counts[t] += mark ? 1 : 0));
  }
  // 300 each on average, standard deviation about 16.5.
  for (const count of counts) assert.ok(Math.abs(count - 300) < 83, `${[...counts]}`);
  assert.deepEqual(randomMarks(2, 9, new Rng(1)), [true, true]);
});

test('runs of marked tokens stand in one pair of marks; signs of the text are told apart; characters are not cut', () => {
  const tokens = (...pairs: [string, number][]): string => markedText(pairs.map(([text, level]) => ({ text, level })));
  assert.equal(tokens(['a', 0], [' b', 1], [' c', 1], [' d', 0], [' e', 1]), 'a<< b c>> d<< e>>');
  assert.equal(tokens(['x', 1], [' << 2', 0]), String.raw`<<x>> \<< 2`);
  assert.equal(tokens(['a', 0], ['b', 0]), 'ab');
  assert.equal(tokens(['<', 1], ['|end|>', 1]), String.raw`<<\u{3c}|end|>>>`, 'reserved words of chat formats are broken, even across tokens');

  // Tokens 1 and 2 are the halves of one character; a mark on either is on the character.
  const texts: Record<string, string> = { '0': 'a', '1': '\uFFFD', '2': '\uFFFD', '1 2': 'é', '0 1': 'a\uFFFD', '2 3': '\uFFFD!', '1 2 3': 'é!', '3': '!' };
  const wording = { token: (id: number) => texts[id], decode: (ids: ArrayLike<number>) => texts[Array.from(ids).join(' ')] ?? Array.from(ids, (id) => texts[id]).join(''), separators: new Set<number>() };
  for (const marks of [[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0]]) assert.equal(markedText(showFragment([0, 1, 2, 3], marks, wording)), 'a<<é>>!');
});

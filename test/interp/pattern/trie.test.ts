import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rng } from '../../../src/math/rng.ts';
import { compileTrie, simulate } from '../../../src/interp/pattern/simulate.ts';
import { buildTrie, triePaths } from '../../../src/interp/pattern/trie.ts';
import type { PatternPath } from '../../../src/interp/pattern/trie.ts';

const text = (id: number): string => `t${id}`;
const run = (paths: readonly PatternPath[], ids: readonly number[]): number[] => [...simulate(compileTrie(buildTrie(paths, text)), ids)];

test('one token', () => {
  assert.deepEqual(run([{ tokens: [5], value: 2 }], [5, 1, 5]), [2, 0, 2]);
});

test('a token after another: read backwards, and no match before the start', () => {
  assert.deepEqual(run([{ tokens: [5, 3], value: 2 }], [5, 3, 5, 5]), [0, 0, 2, 0]);
});

test('a wildcard stands for any token, a named token beats it', () => {
  const paths = [{ tokens: [5, null, 3], value: 1 }, { tokens: [5, 4, 3], value: 7 }];
  assert.deepEqual(run(paths, [3, 9, 5, 3, 4, 5]), [0, 0, 1, 0, 0, 7]);
});

test('a pattern with a wildcard for the activating token fires on whatever follows', () => {
  assert.deepEqual(run([{ tokens: [null, 3], value: 4 }], [3, 8, 3, 3]), [0, 4, 0, 4]);
});

test('trailing wildcards are dropped and wildcards alone are refused', () => {
  assert.deepEqual(triePaths(buildTrie([{ tokens: [5, null, null], value: 2 }], text)), [{ tokens: [5], value: 2 }]);
  assert.deepEqual(buildTrie([{ tokens: [null, null], value: 2 }], text), []);
});

test('the more specific pattern wins even where it predicts less', () => {
  assert.deepEqual(run([{ tokens: [5], value: 3 }, { tokens: [5, 1], value: 1 }], [5, 1, 5]), [3, 0, 1]);
});

test('survives JSON', () => {
  const trie = buildTrie([{ tokens: [5, null, 3], value: 1.25 }, { tokens: [2], value: 3 }], text);
  assert.deepEqual(JSON.parse(JSON.stringify(trie)), trie);
  assert.deepEqual(trie.map((n) => n.text), ['t2', 't5']);
  assert.equal(trie[1].next[0].text, '*');
});

/** Every path tried at every position, the most specific taken: slow and plain. */
function naive(paths: readonly PatternPath[], ids: readonly number[]): number[] {
  return ids.map((_, t) => {
    let best = { literals: -1, depth: -1, value: 0 };
    for (const { tokens, value } of paths) {
      const matches = tokens.every((token, back) => token === null || ids[t - back] === token);
      if (!matches) continue;
      const found = { literals: tokens.filter((x) => x !== null).length, depth: tokens.length, value };
      const order = found.literals - best.literals || found.depth - best.depth || found.value - best.value;
      if (order > 0) best = found;
    }
    return best.value;
  });
}

test('property: the trie agrees with trying every pattern', () => {
  for (let seed = 0; seed < 200; seed++) {
    const rng = new Rng(seed);
    const paths = Array.from({ length: 1 + rng.int(12) }, () => {
      const tokens = Array.from({ length: 1 + rng.int(4) }, () => (rng.next() < 0.3 ? null : rng.int(4)));
      tokens[tokens.length - 1] ??= rng.int(4);
      return { tokens, value: 1 + rng.int(9) };
    });
    const ids = Array.from({ length: 30 }, () => rng.int(4));
    assert.deepEqual(run(paths, ids), naive(paths, ids), `seed ${seed}`);
    const back = triePaths(buildTrie(paths, text));
    assert.deepEqual(run(back, ids), run(paths, ids), `seed ${seed}: paths of the trie`);
  }
});

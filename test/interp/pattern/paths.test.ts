import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exemplar } from '../../../src/domain/feature.ts';
import { observedPaths } from '../../../src/interp/pattern/paths.ts';
import { PATTERN_SETTINGS } from '../../../src/interp/pattern/settings.ts';
import { chooseTargets, nearStart } from '../../../src/interp/pattern/targets.ts';

const DOC = 0;
function fragment(ids: readonly number[], activations: readonly number[], start = 100): Exemplar {
  return { kind: 'top', rank: 0, row: 0, start, ids, activations, maxActivation: Math.max(...activations) };
}
const values = (paths: readonly { tokens: readonly (number | null)[]; value: number }[]): Record<string, number> =>
  Object.fromEntries(paths.map((p) => [String(p.tokens[0]), p.value]));

test('a single token gets the mean of what the table and the fragments say', () => {
  const alone = [{ tokens: [5], value: 4 }, { tokens: [6], value: 4 }];
  const fragments = [fragment([5, 5, 7, 8], [0, 0, 3, 0])];
  // 5: (4 + 0 + 0) / 3; 6 was never seen; 7: (0 + 3) / 2; 8 stayed silent.
  assert.deepEqual(values(observedPaths(alone, [], fragments, 4, { ...PATTERN_SETTINGS, observedWeight: 1 })), { 5: 4 / 3, 6: 4, 7: 1.5 });
  assert.deepEqual(values(observedPaths(alone, [], fragments, 4, { ...PATTERN_SETTINGS, observedWeight: 0 })), { 5: 4, 6: 4 });
});

test('places of a context pattern count only when it holds in one fragment alone', () => {
  const pattern = [{ tokens: [5, 2], value: 4 }];
  const twice = [fragment([2, 5, 5], [0, 4, 0]), fragment([2, 5, 9], [0, 4, 0])];
  assert.deepEqual(values(observedPaths([], [pattern], twice, 4, PATTERN_SETTINGS)), {});
  const once = [fragment([2, 5, 5], [0, 4, 0]), fragment([5, 9, 9], [4, 0, 0])];
  assert.deepEqual(values(observedPaths([], [pattern], once, 4, PATTERN_SETTINGS)), { 5: 8 / 4 });
});

test('targets: every fragment peak first, new tokens before repeated ones, contexts end at the document start', () => {
  const a = fragment([9, DOC, 3, 5, 7], [0, 0, 0, 8, 6]);
  const b = fragment([5, 5, 4, 4, 4], [9, 7, 0, 0, 0]);
  const targets = chooseTargets(1, [a, b], DOC, { ...PATTERN_SETTINGS, targets: 4, targetShare: 0.5 });
  assert.deepEqual(targets.map((t) => [t.tokens, t.activation]), [[[5], 9], [[5, 3], 8], [[7, 5, 3], 6], [[5, 5], 7]]);
  assert.deepEqual(targets.map((t) => t.startsDocument), [false, true, true, false]);
  assert.deepEqual(targets.map(nearStart), [false, true, true, false]);
  assert.equal(chooseTargets(1, [fragment([1, 2], [0, 0])], DOC, PATTERN_SETTINGS).length, 0);
});

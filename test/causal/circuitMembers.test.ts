import assert from 'node:assert/strict';
import { test } from 'node:test';
import { circuitMembers } from '../../src/causal/circuitMembers.ts';
import { faithfulnessOf } from '../../src/causal/faithfulness.ts';
import { halfWidth95 } from '../../src/causal/interval.ts';

const edge = (source: string, target: string, effect: number) => ({ source, target, effect });

test('members by the greatest product of effects along a path; what does not lead to the target is no member', () => {
  const edges = [edge('a', 't', 0.5), edge('b', 't', -0.9), edge('c', 'a', 1.7), edge('c', 'b', 0.1), edge('d', 'b', 0.6), edge('x', 'y', 1), edge('t', 'z', 1), edge('e', 't', 0)];
  assert.deepEqual(circuitMembers(edges, 't'), ['b', 'd', 'a', 'c']);
  assert.deepEqual(circuitMembers(edges, 'z'), ['t', 'b', 'd', 'a', 'c']);
  assert.deepEqual(circuitMembers(edges, 'nobody'), []);
  // Nats are shares of the strongest.
  assert.deepEqual(circuitMembers([edge('a', 't', 4), edge('b', 't', 3), edge('c', 'a', 0.5)], 't', 'nats'), ['a', 'b', 'c']);
});

test('faithfulness and completeness; not defined where ablating everything changes nothing', () => {
  assert.deepEqual(faithfulnessOf({ whole: 5, empty: 1, circuit: 4, complement: 2 }), { faithfulness: 0.75, completeness: 0.25 });
  assert.deepEqual(faithfulnessOf({ whole: -1, empty: -5, circuit: -1, complement: -5 }), { faithfulness: 1, completeness: 0 });
  for (const same of [0, 3]) assert.equal(faithfulnessOf({ whole: same, empty: same, circuit: 1, complement: 2 }), null);
  assert.equal(faithfulnessOf({ whole: Number.NaN, empty: 0, circuit: 1, complement: 2 }), null);
});

test('intervals need two contexts', () => {
  assert.equal(halfWidth95({ standardError: 0, n: 1 }), null);
  assert.ok(Math.abs(halfWidth95({ standardError: 2, n: 20 })! - 4.18605) < 1e-4);
});

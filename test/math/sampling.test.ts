import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rng } from '../../src/math/rng.ts';
import { likeliest, sampleToken, scoreToken, topLogProbabilities } from '../../src/math/sampling.ts';

const SIZE = 300;
const AT = 7;

function randomLogits(seed: number): Float32Array {
  const rng = new Rng(seed);
  // Coarse values, so that there are ties.
  return Float32Array.from({ length: AT + SIZE + 5 }, () => Math.round(rng.normal() * 12) / 4);
}

/** By the definition: sort all, keep the shortest beginning that reaches topP. */
function naiveNucleus(logits: Float32Array, temperature: number, topP: number): Map<number, number> {
  const values = [...logits.subarray(AT, AT + SIZE)].map((logit) => Math.exp(logit / temperature));
  const sum = values.reduce((a, b) => a + b);
  const order = [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);
  const kept: number[] = [];
  let mass = 0;
  for (const id of order) {
    if (mass >= topP) break;
    kept.push(id);
    mass += values[id] / sum;
  }
  return new Map(kept.map((id) => [id, values[id] / sum / mass]));
}

test('draws over an even grid of numbers fall as the nucleus says', () => {
  const draws = 20_000;
  for (const [seed, temperature, topP] of [[1, 1, 0.9], [2, 0.5, 0.5], [3, 2, 0.99], [4, 1, 1], [5, 1, 1e-9]] as const) {
    const logits = randomLogits(seed);
    const expected = naiveNucleus(logits, temperature, topP);
    const counts = new Map<number, number>();
    for (let i = 0; i < draws; i++) {
      const id = sampleToken(logits, AT, SIZE, { temperature, topP }, (i + 0.5) / draws);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const id of counts.keys()) assert.ok(expected.has(id), `token ${id} lies outside the nucleus`);
    for (const [id, p] of expected) assert.ok(Math.abs((counts.get(id) ?? 0) / draws - p) < 1.5 / draws, `token ${id}`);
  }
});

test('temperature 0 takes the likeliest, the first of equals', () => {
  const logits = Float32Array.of(9, 1, 3, 3, 2);
  assert.equal(likeliest(logits, 1, 4), 1);
  assert.equal(sampleToken(logits, 1, 4, { temperature: 0, topP: 1 }, 0.999), 1);
  assert.equal(sampleToken(logits, 1, 4, { temperature: 1e-9, topP: 1 }, 0.3), 1);
});

test('the likeliest tokens, as a full sort finds them', () => {
  for (const count of [0, 1, 5, 20, SIZE, SIZE + 9]) {
    const logits = randomLogits(count);
    const { logprob, top } = scoreToken(logits, AT, SIZE, 4, count);
    const all = [...logits.subarray(AT, AT + SIZE)];
    const total = Math.log(all.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const order = [...all.keys()].sort((a, b) => all[b] - all[a] || a - b).slice(0, count);
    assert.deepEqual(top.map(({ id }) => id), order);
    assert.ok(Math.abs(logprob - (all[4] - total)) < 1e-9);
    for (const other of top) assert.ok(Math.abs(other.logprob - (all[other.id] - total)) < 1e-9);
  }
  assert.deepEqual(topLogProbabilities(Float32Array.of(5), 0, 1, 5 - 1e-12, 1), [{ id: 0, logprob: 0 }]);
});

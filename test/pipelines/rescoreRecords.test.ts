import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CallerError } from '../../src/domain/errors.ts';
import { RESCORE_TOLERANCE, rescoreRecords } from '../../src/pipelines/rescoreRecords.ts';

const text = await readFile(new URL('../fixtures/interp/bills_results.jsonl', import.meta.url), 'utf8');

test('recomputed scores equal those the published program wrote, of every text and pooled', () => {
  const scores = rescoreRecords('r.jsonl', text);
  // 2 neurons, 3 explanations, 5 texts and the pool, 3 scores.
  assert.equal(scores.length, 2 * 3 * 6 * 3);
  for (const { place, score, published, recomputed, difference } of scores) assert.ok(difference !== null && difference < 1e-9, `${place} ${score}: ${published} ${recomputed}`);
  // Of each neuron two texts have nothing simulated: no correlation, there and here.
  assert.equal(scores.filter((s) => s.published === null && s.recomputed === null).length, 4);
});

test('one changed activation is found, in its text and in the pool', () => {
  const results = JSON.parse(text.split('\n')[0]) as { scored_explanations: { scored_simulation: { scored_sequence_simulations: { true_activations: number[] }[] } }[] };
  results.scored_explanations[0].scored_simulation.scored_sequence_simulations[2].true_activations[5] += 0.5;
  const off = rescoreRecords('r.json', JSON.stringify(results)).filter((s) => s.difference !== null && s.difference > RESCORE_TOLERANCE);
  assert.deepEqual(off.map((s) => `${s.place.replace('r.json 3/7 ', '')} ${s.score}`).sort(), ['#0 absdev', '#0 correlation', '#0 rsquared', '#0 text 2 absdev', '#0 text 2 correlation', '#0 text 2 rsquared']);
});

test('scores that were not published are not compared; a published number that cannot be is a difference', () => {
  const simulation = { simulation: { tokens: ['a', 'b'], expected_activations: [1, 1] }, true_activations: [0, 2], ev_correlation_score: 0.5 };
  const scores = rescoreRecords('s', JSON.stringify({ scored_sequence_simulations: [simulation] }));
  assert.deepEqual(scores.map((s) => s.difference), [Infinity, null, null, 0, null, null]);
});

test('files that hold no simulation are refused with what they are', () => {
  const refused = (json: string): RegExp | string => {
    try {
      rescoreRecords('f.json', json);
      return 'accepted';
    } catch (error) {
      assert.ok(error instanceof CallerError && error.code === 'BAD_INPUT', String(error));
      return error.message;
    }
  };
  assert.match(String(refused('{"most_positive_activation_records": []}')), /this is a NeuronRecord/);
  assert.match(String(refused('{"x": 1}')), /expected scored_explanations/);
  assert.match(String(refused('[]')), /expected at least one scored explanation/);
  assert.match(String(refused('{"scored_')), /f\.json: expected JSON/);
  assert.match(String(refused('{"scored_sequence_simulations": [{"simulation": {"tokens": ["a"], "expected_activations": ["1"]}}]}')), /scored_sequence_simulations\[0\]\.simulation\.expected_activations\[0\]: expected a number, found "1"/);
});

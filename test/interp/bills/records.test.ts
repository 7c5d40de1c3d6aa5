import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CallerError } from '../../../src/domain/errors.ts';
import { readNeuronRecord, recordSplits } from '../../../src/interp/bills/neuronRecord.ts';
import { parsePythonJson } from '../../../src/interp/bills/parseJson.ts';
import { Reader } from '../../../src/interp/bills/read.ts';

interface Fixture {
  splits: { top: number; random: number; activations: Record<'train' | 'calibration' | 'valid' | 'test', number[]> };
}
const { splits } = JSON.parse(await readFile(new URL('../../fixtures/interp/bills_package.json', import.meta.url), 'utf8')) as Fixture;

const records = (count: number, activation: (i: number) => number): unknown[] => Array.from({ length: count }, (_, i) => ({ tokens: [String(i)], activations: [activation(i)] }));

test('records are split as the published program splits them', () => {
  const json = {
    neuron_id: { layer_index: 4, neuron_index: 17 },
    most_positive_activation_records: records(splits.top, (i) => 100 - i),
    random_sample: records(splits.random, (i) => i),
  };
  const record = readNeuronRecord(new Reader(json, 'neuron'));
  assert.deepEqual([record.layer, record.neuron], [4, 17]);
  const found = recordSplits(record);
  for (const name of ['train', 'calibration', 'valid', 'test'] as const) assert.deepEqual(found[name].map((r) => r.activations[0]), splits.activations[name]);
});

test('what is wrong in a record is said with its place', () => {
  const wrong = { neuron_id: { layer_index: 0, neuron_index: 0 }, most_positive_activation_records: [{ tokens: ['a', 'b'], activations: [1] }], random_sample: [] };
  assert.throws(() => readNeuronRecord(new Reader(wrong, 'n.json')), (error: unknown) => error instanceof CallerError && error.code === 'BAD_INPUT' && /n\.json\.most_positive_activation_records\[0\]: expected as many/.test(error.message));
  assert.throws(() => readNeuronRecord(new Reader([], 'n.json')), /n\.json: expected an object, found a list of 0/);
  assert.throws(() => readNeuronRecord(new Reader({ neuron_id: {} }, 'n.json')), /n\.json\.neuron_id\.layer_index: expected a number, found nothing/);
});

test('Python’s NaN and Infinity become null, but not inside text', () => {
  assert.deepEqual(parsePythonJson('{"a": NaN, "b": [-Infinity, 1e400], "c": "NaN \\" NaN"}', 'x'), { a: null, b: [null, Infinity], c: 'NaN " NaN' });
  assert.throws(() => parsePythonJson('{"a": Na', 'x line 3'), /x line 3: expected JSON/);
});

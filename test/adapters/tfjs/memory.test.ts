import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { memory } from '@tensorflow/tfjs-core';
import { openBackend } from '../../../src/adapters/tfjs/backend.ts';
import { TfjsTrainer } from '../../../src/adapters/tfjs/tfjsTrainer.ts';
import { trainableArchitecture } from '../../../src/dictionary/registry.ts';
import { B, centre, data, specOf } from '../../contract/trainingEngineData.ts';
import { CASES } from './cases.ts';

/** TfjsTrainer in this thread, where what the library holds can be counted. */
before(async () => void (await openBackend('wasm')));

for (const { name, spec } of [...CASES, { name: 'with resampling', spec: specOf('untied', { resampleSteps: 2 }) }]) {
  test(`${name}: steps, states and evaluations leave nothing behind`, async () => {
    const before = memory().numTensors;
    const trainer = new TfjsTrainer(spec, { kind: 'fresh', centre: centre(spec) });
    const held = memory().numTensors;
    const use = async (steps: number): Promise<void> => {
      const block = data(spec, steps * B, 1);
      await trainer.steps(block.vectors, block.targets);
      const sample = data(spec, 100, 2);
      await trainer.evaluate(sample.vectors, sample.targets);
      await trainer.state();
    };
    await use(1);
    const { numTensors, numBytes } = memory();
    assert.equal(numTensors, held, 'after one step the state is all that is held');
    await use(10);
    assert.deepEqual([memory().numTensors, memory().numBytes], [numTensors, numBytes]);
    trainer.close();
    assert.equal(memory().numTensors, before);
  });
}

test('a refused resume holds nothing', () => {
  const { spec } = CASES[0]!;
  const state = new Map(trainableArchitecture(spec.architecture).initialState(spec, centre(spec)));
  state.delete('sinceFired'); // the last one read
  const before = memory().numTensors;
  assert.throws(() => new TfjsTrainer(spec, { kind: 'resume', state }), { name: 'InvariantError', message: /sinceFired/ });
  assert.equal(memory().numTensors, before);
});

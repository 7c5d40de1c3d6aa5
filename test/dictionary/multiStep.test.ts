import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRAINABLE } from '../../src/dictionary/registry.ts';
import { Rng } from '../../src/math/rng.ts';
import { runSteps } from './graphRunner.ts';
import { specOf } from './specOf.ts';

for (const architecture of TRAINABLE) {
  for (const transcoder of architecture.transcoder ? [false, true] : [false]) {
    test(`${architecture.name}${transcoder ? ' transcoder with a linear path' : ''}: six steps in runs of three are six single steps to the bit`, async () => {
      const [B, D, F, steps] = [24, 8, 20, 6];
      const spec = specOf(architecture.name, { B, D, F, ...(transcoder ? { dOut: 5, skip: true } : {}), totalSteps: steps }, { warmupSteps: 3, decaySteps: 2, clipNorm: 0.05, deadVectors: 24 });
      const rng = new Rng(5);
      const draw = (n: number) => Float32Array.from({ length: n }, () => rng.normal());
      const x = draw(steps * B * D);
      const options = transcoder ? { y: draw(steps * B * 5) } : {};
      const start = architecture.initialState(spec, draw(spec.dOut));
      const single = await runSteps(architecture, spec, start, x, options);
      const multi = await runSteps(architecture, spec, start, x, { ...options, stepsARun: 3 });
      assert.deepEqual(multi.stats, single.stats);
      assert.ok(single.stats[5]!.loss !== single.stats[0]!.loss);
      for (const [name, { data }] of single.state) assert.deepEqual(multi.state.get(name)!.data, data, name);
    });
  }
}

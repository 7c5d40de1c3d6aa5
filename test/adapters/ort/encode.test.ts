import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { SubjectModel } from '../../../src/ports/SubjectModel.ts';
import { readFixture } from '../../lm/fixture.ts';

const fixture = readFixture('llama-gqa');
const { batch, dModel } = fixture.padded;
let model: SubjectModel;
before(async () => {
  model = await openSubjectModel(fixture.folder!, { device: 'cpu', workers: 2 });
});
after(() => model.close());

function dictionary(hookPoint: HookPoint, nFeatures: number, inputScale: number, seed: number): DictionaryWeights {
  const rng = new Rng(seed);
  const draw = (length: number, offset = 0): Float32Array => Float32Array.from({ length }, () => rng.normal() + offset);
  const encoder = draw(nFeatures * dModel);
  return {
    config: {
      formatVersion: 1, name: `d${seed}`, model: 'm', hookPoint, outputHookPoint: null, architecture: 'untied', dIn: dModel, dOut: dModel, nFeatures,
      k: null, l1: null, inputScale, outputScale: inputScale, weightsHash: `hash-${seed}`, run: 'r',
    },
    encoder,
    encoderBias: draw(nFeatures, -0.5),
    threshold: null,
    decoder: encoder,
    decoderBias: new Float32Array(dModel),
    skip: null,
  };
}

test('codes are relu((x / scale)·encoderᵀ + bias) of the tapped activations, padding holds none', async () => {
  const dictionaries = [dictionary('resid_post.0', 37, 1, 1), dictionary('mlp_out.1', 5, 2.5, 2), dictionary('resid_pre.1', 64, 0.5, 3)];
  const taps: HookPoint[] = ['resid_post.0', 'mlp_out.1'];
  const { codes, taps: tapped } = await model.forward({ batch, taps, logits: 'none', encode: dictionaries });
  const alone = await model.forward({ batch, taps: [], logits: 'none', encode: dictionaries });
  assert.equal(alone.taps.size, 0);
  assert.deepEqual(alone.codes, codes, 'the same without asking for the taps');

  for (const [index, { config, encoder, encoderBias }] of dictionaries.entries()) {
    const x = tapped.get(config.hookPoint === 'resid_pre.1' ? 'resid_post.0' : config.hookPoint)!;
    const { offsets, features, values, rows, nFeatures } = codes[index];
    assert.equal(rows, batch.rows * batch.cols);
    assert.equal(nFeatures, config.nFeatures);
    assert.equal(offsets.length, rows + 1);
    let active = 0;
    for (let row = 0; row < rows; row++) {
      const real = row % batch.cols < batch.lengths[Math.floor(row / batch.cols)];
      const found = new Map<number, number>();
      for (let k = offsets[row]; k < offsets[row + 1]; k++) {
        assert.ok(k === offsets[row] || features[k] > features[k - 1], 'features ascend');
        found.set(features[k], values[k]);
      }
      active += found.size;
      for (let j = 0; j < config.nFeatures; j++) {
        let sum = encoderBias[j];
        for (let d = 0; d < dModel; d++) sum += (x[row * dModel + d] / config.inputScale) * encoder[j * dModel + d];
        const expected = real ? Math.max(0, sum) : 0;
        assert.ok(Math.abs((found.get(j) ?? 0) - expected) < 1e-3, `${config.name} row ${row} feature ${j}: ${found.get(j)} is not ${expected}`);
      }
    }
    assert.ok(active > 0 && active < rows * config.nFeatures, 'some are active, not all');
    assert.equal(features.length, offsets[rows]);
  }
});

test('dictionaries that do not fit, or are of a kind not read here, are refused', async () => {
  const good = dictionary('resid_post.0', 8, 1, 4);
  const run = (config: object, rest: object = {}) =>
    model.forward({ batch, taps: [], logits: 'none', encode: [{ ...good, ...rest, config: { ...good.config, ...config } }] });
  await assert.rejects(run({ architecture: 'topk' }), { code: 'UNSUPPORTED', message: /topk.*expected tied or untied/ });
  await assert.rejects(run({ dIn: 3 }), { code: 'BAD_DICTIONARY', message: /vectors of 3 numbers, the model's have 48/ });
  await assert.rejects(run({}, { encoder: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /expected 8 x 48 numbers, found 5/ });
  await assert.rejects(run({}, { encoderBias: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /expected 8 numbers, found 5/ });
  await assert.rejects(run({ inputScale: 0 }), { code: 'BAD_DICTIONARY', message: /positive/ });
  await assert.rejects(run({ hookPoint: 'resid_post.2' }), { code: 'BAD_INPUT', message: /layers 0 to 1/ });
});

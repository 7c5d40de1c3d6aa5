import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import { activationAt } from '../../../src/causal/activeFeatures.ts';
import { encode } from '../../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import type { SparseCodes } from '../../../src/domain/sparseCodes.ts';
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

/** Compares codes with src/dictionary/encode.ts; where a feature's activation lies on the edge of counting, either is right. */
function assertEncoded(codes: SparseCodes, weights: DictionaryWeights, x: Float32Array): void {
  const { nFeatures: F, k } = weights.config;
  const edge = 1e-4;
  const without = { ...weights, threshold: null, config: { ...weights.config, k: null } };
  for (let row = 0; row < codes.rows; row++) {
    const real = row % batch.cols < batch.lengths[Math.floor(row / batch.cols)];
    const vector = x.subarray(row * dModel, (row + 1) * dModel);
    const expected = real ? encode(weights, vector) : new Float32Array(F);
    const positive = encode(without, vector);
    const least = k === null ? 0 : Math.min(Infinity, ...expected.filter((c) => c > 0));
    let active = 0;
    for (let j = 0; j < F; j++) {
      const found = activationAt(codes, row, j);
      if (found > 0) active++;
      const onEdge = real && (Math.abs(positive[j] - (weights.threshold?.[j] ?? 0)) < edge || Math.abs(positive[j] - least) < edge);
      if (onEdge) assert.ok(found === 0 || Math.abs(found - positive[j]) < 1e-3);
      else assert.ok(Math.abs(found - expected[j]) < 1e-3, `${weights.config.name} row ${row} feature ${j}: ${found} is not ${expected[j]}`);
    }
    if (k !== null) assert.ok(active <= k, `row ${row} has ${active} active features`);
  }
}

test('thresholds, k, and both: codes are those of src/dictionary/encode.ts', async () => {
  const rng = new Rng(9);
  const dictionaries = ([[null, 3], [0.6, null], [0.9, 4], [null, 1000], [0.3, 1]] as const).flatMap(([theta, k], i) =>
    (['resid_post.0', 'mlp_in.1'] as const).map((hook, h): DictionaryWeights => {
      const plain = dictionary(hook, 53, 0.7, 20 + 2 * i + h);
      const threshold = theta === null ? null : Float32Array.from({ length: 53 }, () => theta * rng.next());
      const transcoder = hook === 'mlp_in.1' ? { outputHookPoint: 'mlp_out.1' as const, outputScale: 3 } : {};
      return { ...plain, threshold, skip: h === 1 ? new Float32Array(dModel * dModel) : null, config: { ...plain.config, ...transcoder, architecture: 'batchtopk', k } };
    }),
  );
  const { codes, taps } = await model.forward({ batch, taps: ['resid_post.0', 'mlp_in.1'], logits: 'none', encode: dictionaries });
  dictionaries.forEach((weights, i) => assertEncoded(codes[i], weights, taps.get(weights.config.hookPoint)!));
});

test('of equal activations those with the lower index stay', async () => {
  // Every coordinate of x three times, so that k = 7 always cuts a tie; the numbers are exact.
  const F = 3 * dModel;
  const plain = dictionary('resid_post.0', F, 1, 40);
  const encoder = new Float32Array(F * dModel);
  for (let j = 0; j < F; j++) encoder[j * dModel + (j % dModel)] = 1;
  for (const threshold of [null, new Float32Array(F).fill(0.05)]) {
    const weights: DictionaryWeights = { ...plain, encoder, encoderBias: new Float32Array(F), threshold, config: { ...plain.config, k: 7 } };
    const { codes, taps } = await model.forward({ batch, taps: ['resid_post.0'], logits: 'none', encode: [weights] });
    const expected = encode(weights, taps.get('resid_post.0')!);
    for (let row = 0; row < codes[0].rows; row++) {
      if (row % batch.cols >= batch.lengths[Math.floor(row / batch.cols)]) continue;
      const found = Array.from({ length: F }, (_, j) => activationAt(codes[0], row, j));
      assert.deepEqual(found, [...expected.subarray(row * F, (row + 1) * F)]);
      assert.equal(found.filter((c) => c > 0).length, 7);
    }
  }
});

test('dictionaries of one encoder with other thresholds, biases or k are not confused, written or not', async () => {
  const plain = dictionary('resid_post.0', 30, 1, 50);
  for (const weightsHash of ['hash-50', '']) {
    const base = { ...plain, config: { ...plain.config, weightsHash } };
    const variants: DictionaryWeights[] = [
      base,
      { ...base, threshold: new Float32Array(30).fill(1) },
      { ...base, config: { ...base.config, k: 2 } },
      { ...base, encoderBias: base.encoderBias.map((b) => b - 1), config: { ...base.config, weightsHash: weightsHash === '' ? '' : 'hash-51' } },
      base,
    ];
    const { codes, taps } = await model.forward({ batch, taps: ['resid_post.0'], logits: 'none', encode: variants });
    variants.forEach((weights, i) => assertEncoded(codes[i], weights, taps.get('resid_post.0')!));
  }
});

test('dictionaries that do not fit are refused', async () => {
  const good = dictionary('resid_post.0', 8, 1, 4);
  const run = (config: object, rest: object = {}) =>
    model.forward({ batch, taps: [], logits: 'none', encode: [{ ...good, ...rest, config: { ...good.config, ...config } }] });
  await assert.rejects(run({ dIn: 3 }), { code: 'BAD_DICTIONARY', message: /vectors of 3 numbers, the model's have 48/ });
  await assert.rejects(run({}, { encoder: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /expected 8 x 48 numbers, found 5/ });
  await assert.rejects(run({}, { encoderBias: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /expected 8 numbers, found 5/ });
  await assert.rejects(run({ inputScale: 0 }), { code: 'BAD_DICTIONARY', message: /input scale.*positive/ });
  await assert.rejects(run({ outputScale: Infinity }), { code: 'BAD_DICTIONARY', message: /output scale.*positive/ });
  await assert.rejects(run({ dOut: 3 }), { code: 'BAD_DICTIONARY', message: /writes vectors of 3 numbers, the model's have 48/ });
  await assert.rejects(run({ outputHookPoint: 'attn_out.0' }), { code: 'BAD_DICTIONARY', message: /writes at attn_out.0, which comes before/ });
  await assert.rejects(run({ outputHookPoint: 'mlp_out.2' }), { code: 'BAD_INPUT', message: /layers 0 to 1/ });
  await assert.rejects(run({}, { decoder: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /decoder: expected 8 x 48 numbers, found 5/ });
  await assert.rejects(run({}, { decoderBias: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /decoder bias: expected 48 numbers, found 5/ });
  await assert.rejects(run({}, { skip: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /linear path: expected 48 x 48 numbers, found 5/ });
  await assert.rejects(run({}, { threshold: new Float32Array(5) }), { code: 'BAD_DICTIONARY', message: /thresholds: expected 8 numbers, found 5/ });
  for (const odd of [-0.1, NaN]) {
    await assert.rejects(run({}, { threshold: new Float32Array(8).fill(odd, 3, 4) }), { code: 'BAD_DICTIONARY', message: /threshold of feature 3: expected a number of at least 0/ });
  }
  for (const k of [0, 1.5, -1, NaN]) await assert.rejects(run({ k }), { code: 'BAD_DICTIONARY', message: /k: expected a whole number/ });
  await assert.rejects(run({ hookPoint: 'resid_post.2' }), { code: 'BAD_INPUT', message: /layers 0 to 1/ });
});

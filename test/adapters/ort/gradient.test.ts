import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import type { TokenBatch } from '../../../src/domain/model.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { GradientModel, GradientRequest, Objective } from '../../../src/ports/GradientModel.ts';
import { readFixture, readSafetensors } from '../../lm/fixture.ts';

const FIXTURES = new URL('../../fixtures/gradients/', import.meta.url).pathname;

function normal(seed: number, count: number): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: count }, () => rng.normal());
}

function randomBatch(model: GradientModel, lengths: readonly number[], seed: number): TokenBatch {
  const rng = new Rng(seed);
  const cols = Math.max(...lengths);
  const ids = Int32Array.from({ length: lengths.length * cols }, () => rng.int(model.info.vocabSize));
  return { rows: lengths.length, cols, ids, lengths: Int32Array.from(lengths) };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

/** max |a − b| over max |b|; zero gradients must be zero. */
function relative(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = a.reduce((most, value, i) => (Math.abs(value - b[i]!) <= most ? most : Math.abs(value - b[i]!)), 0);
  return worst === 0 ? 0 : worst / scale;
}

for (const name of ['neox-parallel', 'neox-serial', 'gpt2-plain', 'gpt2-scaled', 'llama-gqa', 'llama-tied']) {
  test(`${name}: gradients as torch.autograd's`, async () => {
    const { tensors } = readSafetensors(`${FIXTURES}${name}.safetensors`);
    const [rows, cols] = tensors.get('ids')!.dims as [number, number];
    const batch: TokenBatch = { rows, cols, ids: tensors.get('ids')!.data as Int32Array, lengths: tensors.get('lengths')!.data as Int32Array };
    const model = await openSubjectModel(readFixture(name).folder!, { device: 'cpu', workers: 1 });
    try {
      const objectives = [...tensors.keys()].filter((key) => key.endsWith('/cotangent')).map((key) => key.split('/')[0] as Objective['at']);
      assert.equal(objectives.length, 3);
      for (const at of objectives) {
        const wrt = [...tensors.keys()].filter((key) => key.startsWith(`${at}/`) && !key.endsWith('/cotangent')).map((key) => key.split('/')[1] as HookPoint);
        const found = await model.gradient({ batch, of: { at, cotangent: tensors.get(`${at}/cotangent`)!.data as Float32Array }, wrt });
        assert.deepEqual([...found.keys()], wrt);
        for (const [hook, gradient] of found) {
          const error = relative(gradient, tensors.get(`${at}/${hook}`)!.data as Float32Array);
          assert.ok(error < 1e-4, `${at} by ${hook}: ${error}`);
        }
      }
    } finally {
      await model.close();
    }
  });
}

describe('the demo model', () => {
  const { folder, missing } = readFixture('demo');
  const skip = folder === undefined ? missing : false;
  let model: GradientModel;
  before(async () => {
    if (folder !== undefined) model = await openSubjectModel(folder, { device: 'cpu', workers: 1 });
  });
  after(() => model?.close());

  test('directional derivatives of logits as finite differences', { skip }, async () => {
    const { dModel, vocabSize } = model.info;
    const batch = randomBatch(model, [20, 13], 1);
    const cotangent = normal(2, 2 * vocabSize);
    const wrt: HookPoint[] = ['embed', 'attn_out.1', 'mlp_in.2', 'mlp_out.2', 'resid_post.3'];
    const found = await model.gradient({ batch, of: { at: 'logits', cotangent }, wrt });
    for (const at of wrt) {
      const gradient = found.get(at)!;
      // Mostly along the gradient, so that the derivative is far from 0.
      const noise = normal(3, batch.rows * batch.cols * dModel);
      const [steep, flat] = [Math.sqrt(dot(gradient, gradient)), Math.sqrt(dot(noise, noise))];
      const direction = gradient.map((value, i) => value / steep + noise[i]! / flat);
      const derivative = dot(gradient, direction);
      const step = 3 / derivative; // the objective changes by as much at every point
      const objective = async (factor: number): Promise<number> => {
        const { logits } = await model.forward({ batch, taps: [], logits: 'last', edits: [{ at, delta: direction.map((value) => factor * value) }] });
        return dot(cotangent, logits!);
      };
      const difference = ((await objective(step)) - (await objective(-step))) / (2 * step);
      assert.ok(Math.abs(difference - derivative) < 1e-2 * Math.abs(derivative), `${at}: ${derivative}, by differences ${difference}`);
    }
  });
});

describe('runs', () => {
  let model: GradientModel;
  let batch: TokenBatch;
  let of: Objective;
  const count = (): number => batch.rows * batch.cols * model.info.dModel;
  before(async () => {
    model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 1 });
    batch = randomBatch(model, [9, 5, 7], 4);
    of = { at: 'mlp_out.2', cotangent: normal(5, count()) };
  });
  after(() => model.close());

  test('padded positions have gradient 0, whatever the cotangent there', async () => {
    const gradient = (await model.gradient({ batch, of, wrt: ['resid_post.0'] })).get('resid_post.0')!;
    const { dModel } = model.info;
    for (const [b, length] of batch.lengths.entries()) {
      const at = (t: number): number => (b * batch.cols + t) * dModel;
      assert.ok(gradient.subarray(at(0), at(length)).every((value) => value !== 0));
      assert.ok(gradient.subarray(at(length), at(batch.cols)).every((value) => value === 0));
    }
  });

  test('at edited activations: the gradient of a run from the edited stream', async () => {
    const delta = normal(6, count());
    const edited = await model.gradient({ batch, edits: [{ at: 'resid_post.0', delta }], of, wrt: ['resid_post.0', 'attn_out.1'] });
    const clean = await model.gradient({ batch, of, wrt: ['resid_post.0'] });
    const stream = (await model.forward({ batch, taps: ['resid_post.0'], logits: 'none' })).taps.get('resid_post.0')!;
    const from = { at: 'resid_pre.1', residual: stream.map((value, i) => value + delta[i]!) } as const;
    const rerun = await model.gradient({ batch, from, of, wrt: ['resid_pre.1', 'attn_out.1'] });
    assert.ok(relative(edited.get('resid_post.0')!, rerun.get('resid_pre.1')!) < 1e-5);
    assert.ok(relative(edited.get('attn_out.1')!, rerun.get('attn_out.1')!) < 1e-5);
    assert.ok(relative(clean.get('resid_post.0')!, rerun.get('resid_pre.1')!) > 1e-2, 'the edit matters');
  });

  test('the objective by itself is its cotangent, and an activation it does not depend on has gradient 0', async () => {
    const own = (await model.gradient({ batch, of, wrt: ['mlp_out.2'] })).get('mlp_out.2')!;
    const { dModel } = model.info;
    for (let t = 0; t < batch.lengths[1]!; t++) for (let q = 0; q < dModel; q++) assert.equal(own[(batch.cols + t) * dModel + q], of.cotangent[(batch.cols + t) * dModel + q]);
    const parallel = await openSubjectModel(readFixture('neox-parallel').folder!, { device: 'cpu', workers: 1 });
    try {
      const other = randomBatch(parallel, [4], 1);
      const found = await parallel.gradient({ batch: other, of: { at: 'mlp_in.1', cotangent: normal(1, 4 * parallel.info.dModel) }, wrt: ['attn_out.1', 'attn_out.0'] });
      assert.ok(found.get('attn_out.1')!.every((value) => value === 0), 'branches of one layer are parallel');
      assert.ok(found.get('attn_out.0')!.some((value) => value !== 0));
    } finally {
      await parallel.close();
    }
  });

  test('the same for each row alone, for batches run in pieces, and for any number of workers', async () => {
    const { dModel, vocabSize } = model.info;
    const long = randomBatch(model, Array.from({ length: 30 }, (_, b) => 20 + (b % 11)), 7); // 900 tokens: two pieces
    const request = (rows: TokenBatch, cotangent: Float32Array): GradientRequest => ({ batch: rows, of: { at: 'logits', cotangent }, wrt: ['embed', 'mlp_out.1'] });
    const cotangent = normal(8, 30 * vocabSize);
    const whole = await model.gradient(request(long, cotangent));
    const several = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
    try {
      const again = await Promise.all([1, 2, 3].map(() => several.gradient(request(long, cotangent))));
      for (const found of again) for (const [hook, gradient] of found) assert.deepEqual(gradient, whole.get(hook));
    } finally {
      await several.close();
    }
    for (const b of [0, 17, 29]) {
      const [cols, length] = [long.cols, long.lengths[b]!];
      const alone: TokenBatch = { rows: 1, cols: length, ids: long.ids.slice(b * cols, b * cols + length), lengths: Int32Array.of(length) };
      const found = await model.gradient(request(alone, cotangent.slice(b * vocabSize, (b + 1) * vocabSize)));
      for (const [hook, gradient] of found) assert.ok(relative(gradient, whole.get(hook)!.slice(b * cols * dModel, (b * cols + length) * dModel)) < 2e-5);
    }
  });

  test('two names of one point have one gradient', async () => {
    const found = await model.gradient({ batch, of, wrt: ['resid_post.0', 'resid_pre.1'] });
    assert.deepEqual(found.get('resid_post.0'), found.get('resid_pre.1'));
  });

  const refused = (what: string, message: RegExp, request: () => GradientRequest): void => {
    test(`refused by name: ${what}`, async () => {
      await assert.rejects(model.gradient(request()), (error) => error instanceof CallerError && error.code === 'BAD_INPUT' && message.test(error.message));
    });
  };
  const stream = (): Float32Array => new Float32Array(count());
  refused('a point after the objective', /wrt\[1\]: resid_post\.2 lies after the objective at mlp_out\.2/, () => ({ batch, of, wrt: ['embed', 'resid_post.2'] }));
  refused('a point before the start', /wrt\[0\]: attn_out\.0 lies before resid_post\.0/, () => ({ batch, from: { at: 'resid_post.0', residual: stream() }, of, wrt: ['attn_out.0'] }));
  refused('an objective before the start', /embed lies before resid_post\.1/, () => ({ batch, from: { at: 'resid_post.1', residual: stream() }, of: { at: 'embed', cotangent: stream() }, wrt: ['embed'] }));
  refused('an unknown hook point', /is no hook point/, () => ({ batch, of, wrt: ['resid.1' as HookPoint] }));
  refused('a layer the model has not', /layers 0 to 2/, () => ({ batch, of, wrt: ['resid_post.3'] }));
  refused('no points', /no gradients are asked for/, () => ({ batch, of, wrt: [] }));
  refused('a cotangent of another size', /of\.cotangent: expected 648 numbers, found 3/, () => ({ batch, of: { at: 'mlp_out.2', cotangent: new Float32Array(3) }, wrt: ['embed'] }));
  refused('a cotangent with NaN', /of\.cotangent: holds a number that is not finite/, () => ({ batch, of: { at: 'mlp_out.2', cotangent: stream().fill(NaN) }, wrt: ['embed'] }));
});

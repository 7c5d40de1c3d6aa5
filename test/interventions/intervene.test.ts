import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { FeatureIntervention } from '../../src/interventions/intervention.ts';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import { addFeatureEdit, patchedActivation, preActivation, readFeature } from '../../src/causal/featureEdit.ts';
import { hookOrder } from '../../src/causal/hookOrder.ts';
import { encode } from '../../src/dictionary/encode.ts';
import { outputHookPointOf, type DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { TokenBatch } from '../../src/domain/model.ts';
import { Rng } from '../../src/math/rng.ts';
import type { Edit, SubjectModel } from '../../src/ports/SubjectModel.ts';
import { interveneOnce } from '../helpers/interveneOnce.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { perfectDictionary, tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

const T = 17;

function prompt(model: SubjectModel, seed: number): Int32Array {
  const rng = new Rng(seed);
  return Int32Array.from({ length: T }, () => rng.int(model.info.vocabSize));
}

function batchOf(ids: Int32Array): TokenBatch {
  return { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) };
}

/** Activations of one feature over the T positions of x. */
function codesOf(weights: DictionaryWeights, index: number, x: Float32Array): Float32Array {
  return encode(weights, x, [index]);
}

/** Σ change·outputScale·f_j at each position. */
function deltaOf(weights: DictionaryWeights, index: number, change: ArrayLike<number>): Float32Array {
  const { dOut, outputScale } = weights.config;
  return Float32Array.from({ length: T * dOut }, (_, i) => change[Math.floor(i / dOut)] * outputScale * weights.decoder[index * dOut + (i % dOut)]);
}

/** The definition, run the slow way: for each hook point read, in order, a full run with all earlier edits, from the tokens. */
async function naive(model: SubjectModel, base: Int32Array, target: Int32Array | null, features: readonly FeatureIntervention[]): Promise<Float32Array> {
  const edits: Edit[] = [];
  for (const order of [...new Set(features.map((f) => hookOrder(f.weights.config.hookPoint)))].sort((a, b) => a - b)) {
    const here = features.filter((f) => hookOrder(f.weights.config.hookPoint) === order);
    const at = here[0].weights.config.hookPoint;
    const x = (await model.forward({ batch: batchOf(base), edits, taps: [at], logits: 'none' })).taps.get(at)!;
    const y = target === null ? null : (await model.forward({ batch: batchOf(target), taps: [at], logits: 'none' })).taps.get(at)!;
    edits.push(
      ...here.map(({ weights, index, operation, positions }): Edit => {
        const c = codesOf(weights, index, x);
        const wanted = y === null ? null : codesOf(weights, index, y);
        const change = Array.from(c, (value, t) => (positions.includes(t) ? patchedActivation(operation, value, wanted?.[t]) - value : 0));
        return { at: outputHookPointOf(weights.config), delta: deltaOf(weights, index, change) };
      }),
    );
  }
  return (await model.forward({ batch: batchOf(base), edits, taps: [], logits: 'all' })).logits!;
}

/** Dictionaries of every kind at a hook point. */
function dictionaryAt(hook: HookPoint, h: number, kind: number, width: number, last: number, seed: number): DictionaryWeights {
  switch (kind) {
    case 0:
      return tiedDictionary(`${h}-test`, hook, width, 20, { seed, bias: -0.1, inputScale: 1.5 });
    case 1:
      return randomDictionary(`${h}-topk`, hook, width, 20, { seed, architecture: 'topk', k: 4, inputScale: 0.5 });
    case 2:
      return randomDictionary(`${h}-jumprelu`, hook, width, 20, { seed, architecture: 'jumprelu', threshold: 0.4, inputScale: 0.8 });
    default: {
      // A transcoder writes at the next point of its layer, or far on.
      const far: HookPoint[] = [`mlp_out.${last}`, `resid_post.${last}`];
      const outputHookPoint = hook.startsWith('mlp_in.') ? (hook.replace('mlp_in', 'mlp_out') as HookPoint) : far[seed % 2];
      return randomDictionary(`${h}-transcoder`, hook, width, 20, { seed, architecture: 'batchtopk', threshold: 0.1, k: 9, inputScale: 0.7, outputHookPoint, outputScale: 0.3, skip: true });
    }
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

function assertClose(found: Float32Array, expected: Float32Array, tolerance: number): void {
  assert.equal(found.length, expected.length);
  for (let i = 0; i < found.length; i++) assert.ok(Math.abs(found[i] - expected[i]) <= tolerance, `${i}: ${found[i]} for ${expected[i]}`);
}

for (const name of ['neox-serial', 'neox-parallel', 'llama-gqa', 'gpt2-plain']) {
  describe(`interventions on ${name}`, () => {
    let model: SubjectModel;
    before(async () => {
      model = await openSubjectModel(readFixture(name).folder!, { device: 'cpu', workers: 1 });
    });
    after(() => model.close());

    test('equal the naive definition: several dictionaries, hook points, operations and positions at once', async () => {
      const last = model.info.layers - 1;
      const hooks: HookPoint[] = ['embed', 'attn_out.0', 'mlp_in.0', 'mlp_out.0', 'resid_post.0', 'resid_pre.1', 'attn_out.1', 'mlp_in.1', `mlp_out.${last}`, `resid_post.${last}`];
      const [base, target] = [prompt(model, 1), prompt(model, 2)];
      let edited = 0;
      for (let trial = 0; trial < 20; trial++) {
        const rng = Rng.derive(trial, name);
        const chosen = trial < hooks.length ? [hooks[trial]] : hooks.filter(() => rng.next() < 0.4);
        if (chosen.length === 0) chosen.push(hooks[trial % hooks.length]);
        const features = chosen.flatMap((hook, h) => {
          const isLast = hook === `mlp_out.${last}` || hook === `resid_post.${last}`;
          const weights = dictionaryAt(hook, h, rng.int(isLast ? 3 : 4), model.info.dModel, last, trial);
          return rng.permutation(20).slice(0, 3).reduce<FeatureIntervention[]>((list, index) => {
            const operation = rng.pick([{ kind: 'ablate' }, { kind: 'scale', factor: -1.5 }, { kind: 'set', value: 0.7 }, { kind: 'replace_from_target' }] as const);
            const positions = Array.from({ length: T }, (_, t) => t).filter(() => rng.next() < 0.6);
            return [...list, { weights, index, operation, positions }];
          }, []);
        });
        const read = Array.from({ length: T }, (_, t) => t).filter((t) => t % 3 === trial % 3);
        const vocab = model.info.vocabSize;
        const expected = await naive(model, base, target, features);
        const found = await interveneOnce(model, { base, target, features, read });
        read.forEach((t, i) => assertClose(found.logits.patched.subarray(i * vocab, (i + 1) * vocab), expected.subarray(t * vocab, (t + 1) * vocab), 2e-5));
        const lastRow = await interveneOnce(model, { base, target, features, read: [T - 1] });
        assertClose(lastRow.logits.patched, expected.subarray((T - 1) * vocab), 2e-5);
        const clean = (await model.forward({ batch: batchOf(base), taps: [], logits: 'last' })).logits!;
        assertClose(lastRow.logits.base, clean, 2e-5);
        if (lastRow.magnitude > 0) edited++;
      }
      assert.ok(edited >= 16, `only ${edited} of 20 trials edited anything`);
    });

    test('ablating a tied unit-norm feature leaves its pre-activation at zero in the running model', async () => {
      const d = model.info.dModel;
      const base = prompt(model, 3);
      const weights = tiedDictionary('0-test', 'resid_post.0', d, 30, { seed: 5, bias: -0.05 });
      const { taps } = await model.forward({ batch: batchOf(base), taps: ['resid_post.0'], logits: 'none' });
      const x = taps.get('resid_post.0')!;
      let tried = 0;
      for (let j = 0; j < 30; j++) {
        const c = readFeature(weights, j, x, 0, T);
        const delta = new Float32Array(x.length);
        c.forEach((value, t) => addFeatureEdit(delta, t * d, weights, j, -value));
        const edited = await model.forward({ batch: batchOf(base), edits: [{ at: 'resid_post.0', delta }], taps: ['resid_post.0'], logits: 'none' });
        for (let t = 0; t < T; t++) {
          if (c[t] > 0) tried++;
          assert.ok(preActivation(weights, j, edited.taps.get('resid_post.0')!, t * d) <= 1e-5);
        }
      }
      assert.ok(tried > 50);
    });

    test('ablating a feature of a transcoder takes c·f_j times its output scale out of the MLP output, and nothing else', async () => {
      const base = prompt(model, 8);
      const last = model.info.layers - 1;
      const weights = randomDictionary('1-transcoder', 'mlp_in.1', model.info.dModel, 30, { seed: 9, inputScale: 2, outputHookPoint: 'mlp_out.1', outputScale: 5, skip: true });
      const final: HookPoint = `resid_post.${last}`;
      const { taps } = await model.forward({ batch: batchOf(base), taps: ['mlp_in.1', 'mlp_out.1', 'resid_post.1', final], logits: 'none' });
      for (let j = 0; j < 6; j++) {
        const c = codesOf(weights, j, taps.get('mlp_in.1')!);
        const delta = deltaOf(weights, j, c.map((value) => -value));
        const features = [{ weights, index: j, operation: { kind: 'ablate' }, positions: Array.from({ length: T }, (_, t) => t) }] as const;
        const found = await interveneOnce(model, { base, target: null, features, read: [3, T - 1] });
        assertClose(Float32Array.from(found.features[0].before), c, 1e-5);
        // The branch's output is added to the stream, so its change is the stream's; from there on the model is run unedited.
        const residual = taps.get('resid_post.1')!.map((value, i) => value + delta[i]);
        const rest = await model.forward({ batch: batchOf(base), from: { at: 'resid_post.1', residual }, taps: [], logits: 'all' });
        const vocab = model.info.vocabSize;
        assertClose(found.logits.patched, joined([3, T - 1].map((t) => rest.logits!.subarray(t * vocab, (t + 1) * vocab))), 2e-5);
        const edited = await model.forward({ batch: batchOf(base), edits: [{ at: 'mlp_out.1', delta }], taps: ['mlp_out.1'], logits: 'none' });
        assertClose(edited.taps.get('mlp_out.1')!, taps.get('mlp_out.1')!.map((value, i) => value + delta[i]), 1e-6);
        const norms = Array.from({ length: T }, (_, t) => Math.hypot(...delta.subarray(t * model.info.dModel, (t + 1) * model.info.dModel)));
        assert.ok(Math.abs(found.magnitude - norms.reduce((sum, norm) => sum + norm, 0) / T) < 1e-5);
      }
    });

    test('two dictionaries that write at one point: the second is read after the first has acted, and the magnitude is that of the whole change', async () => {
      const base = prompt(model, 13);
      const d = model.info.dModel;
      const transcoder = randomDictionary('0-transcoder', 'mlp_in.0', d, 10, { seed: 14, outputHookPoint: 'mlp_out.0' });
      const tied = tiedDictionary('0-tied', 'mlp_out.0', d, 10, { seed: 15, bias: 0, inputScale: 0.3 });
      const positions = Array.from({ length: T }, (_, t) => t);
      const set = (weights: DictionaryWeights, index: number, value: number): FeatureIntervention => ({ weights, index, operation: { kind: 'set', value }, positions });
      // In the other order than they are computed.
      const features = [set(tied, 3, 2), set(transcoder, 2, 4)];
      const found = await interveneOnce(model, { base, target: null, features, read: [T - 1] });
      const { taps } = await model.forward({ batch: batchOf(base), taps: ['mlp_in.0', 'mlp_out.0'], logits: 'none' });
      const first = deltaOf(transcoder, 2, codesOf(transcoder, 2, taps.get('mlp_in.0')!).map((c) => 4 - c));
      const between = taps.get('mlp_out.0')!.map((value, i) => value + first[i]);
      const second = deltaOf(tied, 3, codesOf(tied, 3, between).map((c) => 2 - c));
      assertClose(Float32Array.from(found.features[0].before), codesOf(tied, 3, between), 1e-4);
      const total = first.map((value, i) => value + second[i]);
      const magnitude = positions.reduce((sum, t) => sum + Math.hypot(...total.subarray(t * d, (t + 1) * d)), 0) / T;
      assert.ok(Math.abs(found.magnitude - magnitude) < 1e-4 * magnitude, `${found.magnitude} is not ${magnitude}`);
    });

    test('of the k largest, the one ablated leaves an empty place; one that is not among them is inactive', async () => {
      const base = prompt(model, 10);
      const d = model.info.dModel;
      const weights = randomDictionary('0-topk', 'resid_post.0', d, 25, { seed: 11, architecture: 'topk', k: 3 });
      const x = (await model.forward({ batch: batchOf(base), taps: ['resid_post.0'], logits: 'none' })).taps.get('resid_post.0')!;
      const codes = encode(weights, x);
      const at = T - 2;
      const row = [...codes.subarray(at * 25, (at + 1) * 25)];
      const strongest = row.indexOf(Math.max(...row));
      const left = row.findIndex((c, j) => c === 0 && preActivation(weights, j, x, at * d) > 0);
      assert.ok(left >= 0 && row[strongest] > 0);
      const from = async (change: number, j: number): Promise<Float32Array> => {
        const residual = x.slice();
        for (let q = 0; q < d; q++) residual[at * d + q] += change * weights.decoder[j * d + q];
        return (await model.forward({ batch: batchOf(base), from: { at: 'resid_post.0', residual }, taps: [], logits: 'last' })).logits!;
      };
      const patch = (index: number, operation: FeatureIntervention['operation']) =>
        interveneOnce(model, { base, target: null, features: [{ weights, index, operation, positions: [at] }], read: [T - 1] });
      const ablated = await patch(strongest, { kind: 'ablate' });
      assert.ok(Math.abs(ablated.features[0].before[at] - row[strongest]) < 1e-5);
      assertClose(ablated.logits.patched, await from(-row[strongest], strongest), 1e-5);
      const nothing = await patch(left, { kind: 'ablate' });
      assert.deepEqual([nothing.features[0].before[at], nothing.magnitude], [0, 0]);
      const set = await patch(left, { kind: 'set', value: 2 });
      assertClose(set.logits.patched, await from(2, left), 1e-5);
    });

    test('dictionaries that do not fit the model are refused', async () => {
      const base = prompt(model, 12);
      const d = model.info.dModel;
      const refused = async (weights: DictionaryWeights, message: RegExp): Promise<void> =>
        assert.rejects(interveneOnce(model, { base, target: null, features: [{ weights, index: 0, operation: { kind: 'ablate' }, positions: [0] }], read: [0] }), { code: 'BAD_DICTIONARY', message });
      await refused(randomDictionary('0-narrow', 'resid_post.0', d - 1, 3, { seed: 1 }), /the model's have/);
      await refused(randomDictionary('0-back', 'mlp_out.0', d, 3, { seed: 1, outputHookPoint: 'mlp_in.0' }), /comes before/);
    });

    test('an inactive feature changes nothing', async () => {
      const base = prompt(model, 4);
      const weights = tiedDictionary('0-test', 'resid_pre.1', model.info.dModel, 4, { seed: 6, bias: -1e6 });
      const features = [0, 1, 2, 3].map((index): FeatureIntervention => ({ weights, index, operation: { kind: 'ablate' }, positions: [0, 1, T - 1] }));
      const found = await interveneOnce(model, { base, target: null, features, read: [3, T - 1] });
      const vocab = model.info.vocabSize;
      for (const row of [0, 1]) {
        assert.ok(klDivergence(logSoftmax(found.logits.patched, row * vocab, vocab), logSoftmax(found.logits.base, row * vocab, vocab)) < 1e-9);
      }
      assert.equal(found.magnitude, 0);
    });

    test('replacing all features of a perfect dictionary from the target reproduces the target run', async () => {
      const [base, target] = [prompt(model, 5), prompt(model, 6)];
      const everywhere = Array.from({ length: T }, (_, t) => t);
      for (const [i, hook] of (['embed', 'resid_post.0', `resid_post.${model.info.layers - 1}`] as const).entries()) {
        const weights = perfectDictionary(`${i}-perfect`, hook, model.info.dModel, 7, 2);
        const features = Array.from({ length: weights.config.nFeatures }, (_, index): FeatureIntervention => ({ weights, index, operation: { kind: 'replace_from_target' }, positions: everywhere }));
        const found = await interveneOnce(model, { base, target, features, read: everywhere });
        const vocab = model.info.vocabSize;
        assertClose(found.logits.patched, found.logits.target!, 1e-4);
        for (const t of everywhere) {
          const [p, q, b] = [found.logits.patched, found.logits.target!, found.logits.base].map((logits) => logSoftmax(logits, t * vocab, vocab));
          assert.ok(klDivergence(p, q) < 1e-8);
          assert.ok(klDivergence(b, q) > 1e-6);
        }
      }
    });
  });
}

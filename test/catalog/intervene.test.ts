import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { intervene, type FeatureIntervention } from '../../src/catalog/intervene.ts';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import { addFeatureEdit, patchedActivation, preActivation, readFeature } from '../../src/causal/featureEdit.ts';
import { hookOrder } from '../../src/causal/hookOrder.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { TokenBatch } from '../../src/domain/model.ts';
import { Rng } from '../../src/math/rng.ts';
import type { Edit, SubjectModel } from '../../src/ports/SubjectModel.ts';
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

/** The definition, run the slow way: for each hook point in order a full run with all earlier edits, from the tokens. */
async function naive(model: SubjectModel, base: Int32Array, target: Int32Array | null, features: readonly FeatureIntervention[]): Promise<Float32Array> {
  const d = model.info.dModel;
  const edits: Edit[] = [];
  for (const order of [...new Set(features.map((f) => hookOrder(f.weights.config.hookPoint)))].sort((a, b) => a - b)) {
    const here = features.filter((f) => hookOrder(f.weights.config.hookPoint) === order);
    const at = here[0].weights.config.hookPoint;
    const x = (await model.forward({ batch: batchOf(base), edits, taps: [at], logits: 'none' })).taps.get(at)!;
    const y = target === null ? null : (await model.forward({ batch: batchOf(target), taps: [at], logits: 'none' })).taps.get(at)!;
    const delta = new Float32Array(x.length);
    for (const { weights, index, operation, positions } of here) {
      const c = readFeature(weights, index, x, 0, T);
      const wanted = y === null ? null : readFeature(weights, index, y, 0, T);
      for (const t of positions) addFeatureEdit(delta, t * d, weights, index, patchedActivation(operation, c[t], wanted?.[t]) - c[t]);
    }
    edits.push({ at, delta });
  }
  return (await model.forward({ batch: batchOf(base), edits, taps: [], logits: 'all' })).logits!;
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
      const hooks: HookPoint[] = ['embed', 'attn_out.0', 'mlp_out.0', 'resid_post.0', 'resid_pre.1', 'attn_out.1', `mlp_out.${last}`, `resid_post.${last}`];
      const [base, target] = [prompt(model, 1), prompt(model, 2)];
      for (let trial = 0; trial < 12; trial++) {
        const rng = Rng.derive(trial, name);
        const chosen = trial < hooks.length ? [hooks[trial]] : hooks.filter(() => rng.next() < 0.4);
        if (chosen.length === 0) chosen.push(hooks[trial % hooks.length]);
        const features = chosen.flatMap((hook, h) => {
          const weights = tiedDictionary(`${h}-test`, hook, model.info.dModel, 20, { seed: trial, bias: -0.1, inputScale: 1.5 });
          return rng.permutation(20).slice(0, 3).reduce<FeatureIntervention[]>((list, index) => {
            const operation = rng.pick([{ kind: 'ablate' }, { kind: 'scale', factor: -1.5 }, { kind: 'set', value: 0.7 }, { kind: 'replace_from_target' }] as const);
            const positions = Array.from({ length: T }, (_, t) => t).filter(() => rng.next() < 0.6);
            return [...list, { weights, index, operation, positions }];
          }, []);
        });
        const read = Array.from({ length: T }, (_, t) => t).filter((t) => t % 3 === trial % 3);
        const vocab = model.info.vocabSize;
        const expected = await naive(model, base, target, features);
        const found = await intervene(model, { base, target, features, read });
        read.forEach((t, i) => assertClose(found.patched.subarray(i * vocab, (i + 1) * vocab), expected.subarray(t * vocab, (t + 1) * vocab), 2e-5));
        const lastRow = await intervene(model, { base, target, features, read: [T - 1] });
        assertClose(lastRow.patched, expected.subarray((T - 1) * vocab), 2e-5);
        const clean = (await model.forward({ batch: batchOf(base), taps: [], logits: 'last' })).logits!;
        assertClose(lastRow.base, clean, 2e-5);
        assert.ok(lastRow.editMagnitude > 0);
      }
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

    test('an inactive feature changes nothing', async () => {
      const base = prompt(model, 4);
      const weights = tiedDictionary('0-test', 'resid_pre.1', model.info.dModel, 4, { seed: 6, bias: -1e6 });
      const features = [0, 1, 2, 3].map((index): FeatureIntervention => ({ weights, index, operation: { kind: 'ablate' }, positions: [0, 1, T - 1] }));
      const found = await intervene(model, { base, target: null, features, read: [3, T - 1] });
      const vocab = model.info.vocabSize;
      for (const row of [0, 1]) {
        assert.ok(klDivergence(logSoftmax(found.patched, row * vocab, vocab), logSoftmax(found.base, row * vocab, vocab)) < 1e-9);
      }
      assert.equal(found.editMagnitude, 0);
    });

    test('replacing all features of a perfect dictionary from the target reproduces the target run', async () => {
      const [base, target] = [prompt(model, 5), prompt(model, 6)];
      const everywhere = Array.from({ length: T }, (_, t) => t);
      for (const [i, hook] of (['embed', 'resid_post.0', `resid_post.${model.info.layers - 1}`] as const).entries()) {
        const weights = perfectDictionary(`${i}-perfect`, hook, model.info.dModel, 7, 2);
        const features = Array.from({ length: weights.config.nFeatures }, (_, index): FeatureIntervention => ({ weights, index, operation: { kind: 'replace_from_target' }, positions: everywhere }));
        const found = await intervene(model, { base, target, features, read: everywhere });
        const vocab = model.info.vocabSize;
        assertClose(found.patched, found.target!, 1e-4);
        for (const t of everywhere) {
          const [p, q, b] = [found.patched, found.target!, found.base].map((logits) => logSoftmax(logits, t * vocab, vocab));
          assert.ok(klDivergence(p, q) < 1e-8);
          assert.ok(klDivergence(b, q) > 1e-6);
        }
      }
    });
  });
}

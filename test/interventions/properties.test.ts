import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { encode } from '../../src/dictionary/encode.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import type { FeatureIntervention, Intervention, InterventionRequest, InterventionResult, Measures } from '../../src/interventions/intervention.ts';
import { Rng } from '../../src/math/rng.ts';
import type { ForwardRequest, SubjectModel } from '../../src/ports/SubjectModel.ts';
import { interveneOnce } from '../helpers/interveneOnce.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { perfectDictionary, tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

/** Logits of one row in batches of other sizes differ by rounding. */
const ROUNDING = 2e-5;

let opened: SubjectModel;
let model: SubjectModel;
let requests: ForwardRequest[] = [];
before(async () => {
  opened = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
  model = {
    info: opened.info,
    concurrency: opened.concurrency,
    forward: (request) => (requests.push(request), opened.forward(request)),
    unembedding: () => opened.unembedding(),
    finalNorm: () => opened.finalNorm(),
    close: () => opened.close(),
  };
});
after(() => opened.close());

function prompt(seed: number, length = 12): Int32Array {
  const rng = new Rng(seed);
  return Int32Array.from({ length }, () => rng.int(model.info.vocabSize));
}

function upTo(length: number): number[] {
  return Array.from({ length }, (_, t) => t);
}

function assertClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what = ''): void {
  assert.equal(found.length, expected.length, what);
  for (let i = 0; i < found.length; i++) assert.ok(Math.abs(found[i] - expected[i]) <= tolerance, `${what} ${i}: ${found[i]} for ${expected[i]}`);
}

/** Interventions of every kind over prompts of several lengths, two of which are targets of others. */
function manyInterventions(): InterventionRequest {
  const d = model.info.dModel;
  const hooks: HookPoint[] = ['embed', 'resid_post.0', 'mlp_out.1', 'resid_post.1'];
  const dictionaries = [
    ...hooks.map((hook, i) => tiedDictionary(`${i}-tied`, hook, d, 12, { seed: i, bias: -0.05 })),
    randomDictionary('4-k', 'resid_post.1', d, 12, { seed: 4, architecture: 'topk', k: 3 }),
    randomDictionary('5-transcoder', 'mlp_in.1', d, 12, { seed: 5, outputHookPoint: 'mlp_out.1', skip: true }),
  ];
  const lengths = [5, 12, 1, 9, 12, 5];
  const rng = new Rng(3);
  const interventions = upTo(60).map((i): Intervention => {
    const which = rng.int(lengths.length);
    const target = rng.pick([null, lengths.indexOf(lengths[which]), lengths.lastIndexOf(lengths[which])]);
    // With the error term removed, one dictionary a point.
    const error = rng.pick(['keep', 'remove'] as const);
    const chosen = error === 'remove' ? [rng.pick([0, 1, 4, 5])] : Array.from(rng.permutation(dictionaries.length).slice(0, 1 + rng.int(3)));
    const length = lengths[which];
    const measures: Measures = {
      positions: i % 3 === 0 ? [length - 1] : i % 3 === 1 ? upTo(length).filter((t) => t % 2 === 0) : [],
      logits: true,
      activations: true,
      editMagnitude: true,
      klFromBase: true,
      klFromTarget: true,
      topTokens: 3,
      watch: [{ weights: dictionaries[i % 6], index: i % 12 }, { weights: dictionaries[4], index: 2, positions: [length - 1] }],
    };
    const features = chosen.map((place): FeatureIntervention => {
      const operation = rng.pick([{ kind: 'ablate' }, { kind: 'add', value: 0.5 }, { kind: 'scale', factor: -2 }, { kind: 'ablate_to_mean', mean: 0.2 }, { kind: 'set', value: 1 }, { kind: 'replace_from_target' }] as const);
      const usable = target === null && operation.kind === 'replace_from_target' ? ({ kind: 'ablate' } as const) : operation;
      return { weights: dictionaries[place], index: rng.int(12), operation: usable, positions: upTo(length).filter(() => rng.next() < 0.7) };
    });
    return { prompt: which, target, error, features, measures };
  });
  return { prompts: lengths.map((length, i) => prompt(i, length)), interventions };
}

function assertSame(found: InterventionResult, expected: InterventionResult, tolerance: number, what: string): void {
  for (const run of ['base', 'target', 'patched'] as const) assertClose(found.logits?.[run] ?? [], expected.logits?.[run] ?? [], tolerance, `${what}: ${run}`);
  for (const list of ['features', 'watched'] as const) {
    assert.equal(found[list].length, expected[list].length);
    found[list].forEach((one, j) => {
      assertClose(one.before, expected[list][j].before, tolerance, `${what}: ${list} before`);
      assertClose(one.after, expected[list][j].after, tolerance, `${what}: ${list} after`);
    });
  }
  assertClose(found.editMagnitude!.perPosition, expected.editMagnitude!.perPosition, tolerance, `${what}: magnitude`);
  assertClose(found.predictions.map(({ klFromBase }) => klFromBase!), expected.predictions.map(({ klFromBase }) => klFromBase!), tolerance, `${what}: KL`);
}

describe('properties of interventions', () => {
  test('many at once equal one at a time, in any order and cut into any batches', async () => {
    const request = manyInterventions();
    const together = await intervene(model, request);
    let acted = 0;
    for (const [i, one] of request.interventions.entries()) {
      const [alone] = await intervene(model, { prompts: request.prompts, interventions: [one] });
      assertSame(together[i], alone, ROUNDING, `intervention ${i}`);
      if (alone.editMagnitude!.mean > 0) acted++;
    }
    assert.ok(acted > 40, `only ${acted} of 60 edited anything`);
    for (const [seed, batchTokens] of [[1, 4096], [2, 30], [3, 1]]) {
      const order = new Rng(seed).permutation(request.interventions.length);
      const shuffled = await intervene(model, { ...request, interventions: Array.from(order, (i) => request.interventions[i]) }, { batchTokens });
      order.forEach((i, place) => assertSame(shuffled[place], together[i], ROUNDING, `intervention ${i} at ${place}`));
    }
  });

  test('the order of the features of an intervention makes no difference', async () => {
    const request = manyInterventions();
    const reversed = request.interventions.map((one) => ({ ...one, features: one.features.toReversed() }));
    const [found, expected] = [await intervene(model, { ...request, interventions: reversed }), await intervene(model, request)];
    for (const [i, one] of found.entries()) assertSame({ ...one, features: one.features.toReversed() }, expected[i], ROUNDING, `intervention ${i}`);
  });

  test('each prompt runs once from its tokens, and the layers before the first edit never again', async () => {
    const d = model.info.dModel;
    const weights = tiedDictionary('1-tied', 'resid_post.1', d, 30, { seed: 1, bias: 0 });
    const prompts = upTo(7).map((i) => prompt(i, 4 + i));
    const interventions = upTo(30).flatMap((index) => prompts.map((ids, which): Intervention => ({ prompt: which, target: null, error: 'keep', features: [{ weights, index, operation: { kind: 'add', value: 1 }, positions: upTo(ids.length) }], measures: { positions: [ids.length - 1], klFromBase: true } })));
    requests = [];
    await intervene(model, { prompts, interventions }, { batchTokens: 40 });
    const clean = requests.filter(({ from }) => from === undefined);
    assert.equal(clean.reduce((rows, { batch }) => rows + batch.rows, 0), prompts.length);
    for (const { from, batch } of requests) {
      assert.ok(from === undefined || from.at === 'resid_post.1');
      assert.ok(batch.rows * batch.cols <= 40);
    }
    const edited = requests.filter(({ from }) => from !== undefined);
    assert.equal(edited.reduce((rows, { batch }) => rows + batch.rows, 0), interventions.length);
  });

  test('only what is asked for is run', async () => {
    const ids = prompt(1);
    const weights = tiedDictionary('0-tied', 'resid_post.0', model.info.dModel, 5, { seed: 1, bias: 0 });
    const features: FeatureIntervention[] = [{ weights, index: 0, operation: { kind: 'add', value: 1 }, positions: [3] }];
    requests = [];
    const [result] = await intervene(model, { prompts: [ids], interventions: [{ prompt: 0, target: null, error: 'keep', features, measures: { editMagnitude: true } }] });
    assert.equal(requests.length, 1);
    assert.deepEqual([requests[0].logits, requests[0].taps], ['none', ['resid_post.0']]);
    assertClose(result.editMagnitude!.perPosition, upTo(12).map((t) => (t === 3 ? 1 : 0)), 1e-6);
    assert.deepEqual([result.predictions, result.logits, result.features, result.watched], [[], null, [], []]);
  });

  test('an inactive feature ablated or scaled changes nothing, to the last bit, beside others that do', async () => {
    const ids = prompt(4);
    const silent = tiedDictionary('0-silent', 'resid_post.0', model.info.dModel, 4, { seed: 6, bias: -1e6 });
    const loud = tiedDictionary('0-loud', 'resid_post.0', model.info.dModel, 4, { seed: 7, bias: 1 });
    const watch = [{ weights: tiedDictionary('2-watched', 'resid_post.2', model.info.dModel, 4, { seed: 8, bias: 1 }), index: 1 }];
    for (const positions of [[11], [2, 11]]) {
      const interventions = upTo(6).map((i): Intervention => ({
        prompt: 0,
        target: null,
        error: 'keep',
        features: [{ weights: i % 3 === 0 ? loud : silent, index: i % 4, operation: i % 2 === 0 ? { kind: 'ablate' } : { kind: 'scale', factor: 7 }, positions: upTo(12) }],
        measures: { positions, logits: true, klFromBase: true, loss: true, editMagnitude: true, watch },
      }));
      const results = await intervene(model, { prompts: [ids], interventions });
      for (const [i, { logits, predictions, editMagnitude, watched }] of results.entries()) {
        const still = i % 3 !== 0;
        assert.equal(logits!.patched.every((value, j) => Object.is(value, logits!.base[j])), still);
        assert.equal(predictions.every(({ klFromBase }) => klFromBase === 0), still);
        assert.equal(editMagnitude!.mean === 0, still);
        assert.equal(watched[0].after.every((value, t) => value === watched[0].before[t]), still);
      }
    }
  });

  test('ablating tied unit-norm features brings their activations to zero where they are read', async () => {
    const ids = prompt(5);
    const weights = tiedDictionary('1-tied', 'resid_post.1', model.info.dModel, 30, { seed: 5, bias: 0.4 });
    const interventions = upTo(30).map((index): Intervention => ({ prompt: 0, target: null, error: 'keep', features: [{ weights, index, operation: { kind: 'ablate' }, positions: upTo(12) }], measures: { watch: [{ weights, index }] } }));
    const results = await intervene(model, { prompts: [ids], interventions });
    let tried = 0;
    for (const { watched } of results) {
      tried += watched[0].before.filter((c) => c > 0.1).length;
      assert.ok(watched[0].after.every((c) => c < 1e-6));
    }
    assert.ok(tried > 100);
  });

  test('a perfect dictionary leaves no error term: removing it changes nothing, replacing all of it gives the target run', async () => {
    const [base, target] = [prompt(6), prompt(7)];
    const weights = perfectDictionary('1-perfect', 'resid_post.1', model.info.dModel, 7, 2);
    const all = (operation: FeatureIntervention['operation']): FeatureIntervention[] => upTo(weights.config.nFeatures).map((index) => ({ weights, index, operation, positions: upTo(12) }));
    for (const error of ['keep', 'remove'] as const) {
      const replaced = await interveneOnce(model, { base, target, features: all({ kind: 'replace_from_target' }), read: upTo(12), error });
      assertClose(replaced.logits.patched, replaced.logits.target!, 1e-4);
      assert.ok(replaced.logits.base.some((value, i) => Math.abs(value - replaced.logits.target![i]) > 1e-2));
    }
    const spliced = await interveneOnce(model, { base, target: null, features: all({ kind: 'scale', factor: 1 }).slice(0, 1), read: upTo(12), error: 'remove' });
    assertClose(spliced.logits.patched, spliced.logits.base, 1e-4);
    assert.ok(spliced.magnitude < 1e-4);
  });

  test('watched features between two edits are read after the first and before the second', async () => {
    const base = prompt(8);
    const d = model.info.dModel;
    const [first, between, second] = (['embed', 'resid_post.0', 'resid_post.1'] as const).map((hook, i) => tiedDictionary(`${i}-tied`, hook, d, 6, { seed: i, bias: 0.5 }));
    const edit = (weights: typeof first): FeatureIntervention => ({ weights, index: 2, operation: { kind: 'add', value: 3 }, positions: upTo(12) });
    const watch = [{ weights: between, index: 4 }, { weights: first, index: 1 }, { weights: second, index: 2 }, { weights: randomDictionary('0-k', 'resid_pre.1', d, 6, { seed: 9, architecture: 'topk', k: 2 }), index: 3 }];
    const both = await interveneOnce(model, { base, target: null, features: [edit(first), edit(second)], read: [11], measures: { watch } });
    const delta = Float32Array.from({ length: 12 * d }, (_, i) => 3 * first.decoder[2 * d + (i % d)]);
    const { taps } = await model.forward({ batch: { rows: 1, cols: 12, ids: base, lengths: Int32Array.of(12) }, edits: [{ at: 'embed', delta }], taps: ['embed', 'resid_post.0', 'resid_post.1'], logits: 'none' });
    assertClose(both.watched[0].after, encode(between, taps.get('resid_post.0')!, [4]), ROUNDING);
    assertClose(both.watched[1].after, encode(first, taps.get('embed')!, [1]), ROUNDING);
    assertClose(both.watched[2].after, encode(second, taps.get('resid_post.1')!, [2]).map((c) => c + 3), 1e-4);
    assertClose(both.watched[3].after, encode(watch[3].weights, taps.get('resid_post.0')!, [3]), ROUNDING);
    assert.ok(both.watched[0].after.some((c, t) => Math.abs(c - both.watched[0].before[t]) > 1e-3));
  });

  test('what is not well-formed is refused, and says which intervention it is', async () => {
    const d = model.info.dModel;
    const [one, other] = [tiedDictionary('1-one', 'resid_post.1', d, 6, { seed: 1, bias: 1 }), tiedDictionary('1-other', 'resid_pre.2', d, 6, { seed: 2, bias: 1 })];
    const feature: FeatureIntervention = { weights: one, index: 0, operation: { kind: 'ablate' }, positions: [0, 1] };
    const good: Intervention = { prompt: 0, target: null, error: 'keep', features: [feature], measures: { positions: [11], klFromBase: true } };
    const cases: readonly (readonly [Partial<Intervention>, RegExp])[] = [
      [{ prompt: 3 }, /prompt 3: there are 3/],
      [{ target: 1 }, /12 tokens and its target 5/],
      [{ features: [] }, /edits no feature/],
      [{ features: [{ ...feature, index: 6 }] }, /feature 6 of 1-one: expected 0 to 5/],
      [{ features: [{ ...feature, index: 0.5 }] }, /feature 0.5/],
      [{ features: [{ ...feature, positions: [12] }] }, /position 12/],
      [{ features: [{ ...feature, positions: [3, 3] }] }, /ascending/],
      [{ features: [feature, { ...feature, positions: [1, 5] }] }, /twice at position 1/],
      [{ features: [{ ...feature, operation: { kind: 'replace_from_target' } }] }, /needs a target/],
      [{ features: [{ ...feature, operation: { kind: 'set', value: NaN } }] }, /not finite/],
      [{ features: [{ ...feature, operation: { kind: 'add', value: 1e300 } }] }, /intervention 1: .*overflows/],
      [{ features: [feature, { ...feature, weights: other }], error: 'remove' }, /cannot both take the place of resid_post.1 at position 0/],
      [{ measures: { positions: [-1] } }, /position -1/],
      [{ measures: { logitDifferences: [[0, model.info.vocabSize]] } }, /token \d+/],
      [{ measures: { watch: [{ weights: one, index: 9 }] } }, /feature 9/],
      [{ prompt: 2 }, /empty/],
    ];
    const prompts = [prompt(1), prompt(2, 5), new Int32Array(0)];
    for (const [change, message] of cases) {
      await assert.rejects(intervene(model, { prompts, interventions: [good, { ...good, ...change }] }), (error: Error & { code?: string }) => error.code === 'BAD_INPUT' && message.test(error.message), String(message));
    }
    await assert.rejects(intervene(model, { prompts, interventions: [good, { ...good, features: [] }] }), /intervention 1/);
    assert.equal((await intervene(model, { prompts, interventions: [good] })).length, 1);
    assert.deepEqual(await intervene(model, { prompts, interventions: [] }), []);
  });
});

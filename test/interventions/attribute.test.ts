import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { addEffects, ascending } from '../../src/causal/attribution.ts';
import { preActivation } from '../../src/causal/featureEdit.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { SparseCodes } from '../../src/domain/sparseCodes.ts';
import { attributeFeatures } from '../../src/interventions/attribute.ts';
import type { AttributedObjective, AttributionRequest } from '../../src/interventions/attribution.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import { Rng } from '../../src/math/rng.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

let model: GradientModel;
let sources: DictionaryWeights[];
let target: DictionaryWeights;
const lengths = [12, 7, 9];
let prompts: Int32Array[];
before(async () => {
  model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
  const { dModel, vocabSize } = model.info;
  const rng = new Rng(1);
  prompts = lengths.map((length) => Int32Array.from({ length }, () => rng.int(vocabSize)));
  sources = [
    tiedDictionary('0-a', 'resid_post.0', dModel, 40, { seed: 1, bias: -0.3, inputScale: 1.7 }),
    randomDictionary('1-k', 'resid_post.1', dModel, 40, { seed: 2, architecture: 'topk', k: 4, inputScale: 0.6 }),
    randomDictionary('1-transcoder', 'mlp_in.1', dModel, 40, { seed: 3, bias: -0.5, outputHookPoint: 'mlp_out.1', outputScale: 2, skip: true }),
  ];
  target = tiedDictionary('2-b', 'resid_post.2', dModel, 40, { seed: 4, bias: 0, inputScale: 1.3 });
});
after(() => model.close());

/** What ablating each feature of `source` in prompt `p`, alone and everywhere, does to the log-probability of a token at its end. */
async function ablated(source: DictionaryWeights, features: readonly number[], p: number, id: number): Promise<number[]> {
  const { length } = prompts[p]!;
  const positions = Array.from({ length }, (_, t) => t);
  const results = await intervene(model, {
    prompts,
    interventions: features.map((index) => ({
      prompt: p, target: null, error: 'keep', features: [{ weights: source, index, operation: { kind: 'ablate' }, positions }],
      measures: { positions: [length - 1], logProbs: [id] },
    })),
  });
  return results.map(({ predictions }) => predictions[0]!.logProbs[0]!.patched - predictions[0]!.logProbs[0]!.base);
}

/** By features in proportion to a small step: features' own effects are then nearly linear. */
function shrunk(weights: DictionaryWeights, share: number): DictionaryWeights {
  const { config, decoder } = weights;
  return { ...weights, decoder: decoder.map((value) => share * value), config: { ...config, weightsHash: `${config.weightsHash} x ${share}` } };
}

test('of a small step, effects by gradients are those of ablation, for every form of dictionary', async () => {
  const small = sources.map((weights) => shrunk(weights, 0.01));
  const ids = [4, 9, 20];
  const found = await attributeFeatures(model, { prompts, objective: { kind: 'token', measure: 'logProb', ids }, sources: small });
  for (const [s, source] of small.entries()) {
    for (const p of prompts.keys()) {
      const features = [...found[s]!].filter(([, effects]) => effects[p] !== 0).map(([feature]) => feature);
      assert.ok(features.length >= 4, `${source.config.name}: ${features.length} features`);
      const expected = await ablated(source, features, p, ids[p]!);
      const scale = Math.max(...expected.map(Math.abs));
      for (const [i, feature] of features.entries()) {
        const effect = found[s]!.get(feature)![p]!;
        assert.ok(Math.abs(effect - expected[i]!) < 0.03 * scale, `${source.config.name} feature ${feature}, prompt ${p}: ${effect}, ablated ${expected[i]}`);
      }
    }
  }
});

test('where the objective is linear in the features, effects are exact: features of the stream the target reads', async () => {
  const source = tiedDictionary('2-c', 'resid_post.2', model.info.dModel, 40, { seed: 9, bias: 0, inputScale: 2 });
  const index = 7;
  const [effects] = await attributeFeatures(model, { prompts, objective: { kind: 'feature', weights: target, index }, sources: [source] });
  const { taps } = await model.forward({ batch: { rows: 1, cols: 12, ids: prompts[0]!, lengths: Int32Array.of(12) }, taps: ['resid_post.2'], logits: 'none' });
  const x = taps.get('resid_post.2')!;
  const at = 11 * model.info.dModel;
  let active = 0;
  for (const [feature, [effect]] of effects!) {
    const c = Math.max(0, preActivation(source, feature, x, at));
    if (c > 0) active++;
    const edited = x.slice();
    for (let q = 0; q < model.info.dModel; q++) edited[at + q]! -= 2 * c * source.decoder[feature * model.info.dModel + q]!;
    const expected = preActivation(target, index, edited, at) - preActivation(target, index, x, at);
    assert.ok(Math.abs(effect! - expected) < 1e-5, `feature ${feature}: ${effect}, ablated ${expected}`);
  }
  assert.ok(active > 3);
});

describe('integrated gradients', () => {
  const objectives = (): AttributedObjective[] => [
    { kind: 'feature', weights: target, index: 3 },
    { kind: 'token', measure: 'logit', ids: [1, 2, 3] },
    { kind: 'token', measure: 'logProb', ids: [1, 2, 3] },
  ];
  /** The objective of prompt 0 with all of a source's features ablated at once, less that of the clean run. */
  const difference = async (objective: AttributedObjective, source: DictionaryWeights): Promise<number> => {
    const batch = { rows: 1, cols: 12, ids: prompts[0]!, lengths: Int32Array.of(12) };
    const at = source.config.outputHookPoint ?? source.config.hookPoint;
    const { codes } = await model.forward({ batch, taps: [], logits: 'none', encode: [source] });
    const delta = new Float32Array(12 * model.info.dModel);
    for (let t = 0; t < 12; t++) {
      for (let e = codes[0]!.offsets[t]!; e < codes[0]!.offsets[t + 1]!; e++) {
        for (let q = 0; q < model.info.dModel; q++) {
          delta[t * model.info.dModel + q]! -= source.config.outputScale * codes[0]!.values[e]! * source.decoder[codes[0]!.features[e]! * model.info.dModel + q]!;
        }
      }
    }
    const value = async (edits: AttributionEdits): Promise<number> => {
      const { taps, logits } = await model.forward({ batch, taps: ['resid_post.2'], logits: 'last', edits });
      if (objective.kind === 'feature') return preActivation(objective.weights, objective.index, taps.get('resid_post.2')!, 11 * model.info.dModel);
      const id = objective.ids[0]!;
      return objective.measure === 'logit' ? logits![id]! : logits![id]! - Math.log(logits!.reduce((sum, logit) => sum + Math.exp(logit), 0));
    };
    return (await value([{ at, delta }])) - (await value([]));
  };
  type AttributionEdits = { at: DictionaryWeights['config']['hookPoint']; delta: Float32Array }[];

  test('add up to the change of the objective, with the square of the step as the error', async () => {
    for (const objective of objectives()) {
      const errors = [];
      const changes = await Promise.all(sources.map((source) => difference(objective, source)));
      for (const steps of [8, 32]) {
        const found = await attributeFeatures(model, { prompts, objective, sources, steps });
        errors.push(found.map((effects, s) => Math.abs([...effects.values()].reduce((sum, list) => sum + list[0]!, 0) - changes[s]!)));
      }
      for (const s of sources.keys()) {
        const [few, many] = errors.map((list) => list[s]!);
        // Midpoints: a quarter of the step, a sixteenth of the error.
        assert.ok(many! < few! / 8 + 2e-6, `${objective.kind}, ${sources[s]!.config.name}: ${few}, then ${many}`);
        assert.ok(many! < 1e-3 * Math.max(...changes.map(Math.abs)), `${objective.kind}, ${sources[s]!.config.name}: ${many} of ${changes[s]}`);
      }
    }
  });
});

test('the same in batches of any size, each prompt by itself', async () => {
  const request: AttributionRequest = { prompts, objective: { kind: 'feature', weights: target, index: 5 }, sources };
  const whole = await attributeFeatures(model, request);
  const single = await attributeFeatures(model, { ...request, batchTokens: 1 });
  for (const [s, effects] of whole.entries()) {
    assert.deepEqual([...effects.keys()], [...effects.keys()].sort((a, b) => a - b));
    assert.deepEqual([...single[s]!.keys()], [...effects.keys()]);
    for (const [feature, list] of effects) for (const [p, effect] of list.entries()) assert.ok(Math.abs(effect - single[s]!.get(feature)![p]!) < 1e-5);
  }
});

test('effects at one gradient, by hand: of the rows of one prompt, times the factor and the output scale', () => {
  const weights = { ...tiedDictionary('x', 'embed', 2, 3, { seed: 1, bias: 0, inputScale: 2 }), decoder: Float32Array.of(1, 0, 0, 1, 1, 1) };
  // Rows of three positions: features 2 and 0, then 2, then 0, which is another prompt's.
  const codes: SparseCodes = { rows: 3, nFeatures: 3, offsets: Uint32Array.of(0, 2, 3, 4), features: Uint32Array.of(2, 0, 2, 0), values: Float32Array.of(4, 3, 1, 9) };
  const gradient = Float32Array.of(1, 10, 2, 20, 5, 5);
  const effects = new Map<number, Float64Array>();
  addEffects(effects, weights, codes, gradient, { first: 0, count: 2 }, -1, 1, 2);
  assert.deepEqual([...ascending(effects)], [[0, Float64Array.of(0, -6)], [2, Float64Array.of(0, -2 * (4 * 11 + 22))]]);
});

describe('refused by name', () => {
  const good = (): AttributionRequest => ({ prompts, objective: { kind: 'feature', weights: target, index: 0 }, sources });
  const refused = (what: string, message: RegExp, request: () => AttributionRequest): void => {
    test(what, async () => {
      await assert.rejects(attributeFeatures(model, request()), (error) => error instanceof CallerError && error.code === 'BAD_INPUT' && message.test(error.message));
    });
  };
  refused('a source after the objective', /2-b writes at resid_post\.2, after the objective/, () => ({ ...good(), objective: { kind: 'feature', weights: sources[0]!, index: 0 }, sources: [target] }));
  refused('a feature that is not there', /feature 40: dictionary 2-b has 0 to 39/, () => ({ ...good(), objective: { kind: 'feature', weights: target, index: 40 } }));
  refused('too few tokens', /one token for each of 3 prompts, found 1/, () => ({ ...good(), objective: { kind: 'token', measure: 'logit', ids: [1] } }));
  refused('a token that is not there', /token 50: expected an id from 0 to 49/, () => ({ ...good(), objective: { kind: 'token', measure: 'logit', ids: [1, 50, 2] } }));
  refused('an empty prompt', /prompt 1 is empty/, () => ({ ...good(), prompts: [prompts[0]!, new Int32Array(0)] }));
  refused('no sources', /no source dictionaries/, () => ({ ...good(), sources: [] }));
  refused('half a step', /steps: expected a whole number of at least 1, found 0\.5/, () => ({ ...good(), steps: 0.5 }));
});

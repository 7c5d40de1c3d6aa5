import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openGenerator } from '../../../src/adapters/ort/openGenerator.ts';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import type { FeatureIntervention } from '../../../src/interventions/intervention.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { GenerateRequest, Generated, Generator, SteeredFeature, Steering } from '../../../src/ports/Generator.ts';
import type { SubjectModel } from '../../../src/ports/SubjectModel.ts';
import { interveneOnce } from '../../helpers/interveneOnce.ts';
import { randomDictionary } from '../../helpers/randomDictionary.ts';
import { tiedDictionary } from '../../helpers/tiedDictionary.ts';

const FIXTURES = fileURLToPath(new URL('../../fixtures/generate', import.meta.url));
const F = 24;
const OPERATIONS: readonly SteeredFeature['operation'][] = [{ kind: 'add', value: 1.5 }, { kind: 'set', value: 2 }, { kind: 'scale', factor: -1.5 }, { kind: 'ablate' }];

/** One of each form, at streams and at branches. */
function dictionariesOf(d: number): DictionaryWeights[] {
  return [
    tiedDictionary('0-embed', 'embed', d, F, { seed: 1, bias: -0.05 }),
    tiedDictionary('0-tied', 'resid_post.0', d, F, { seed: 1, bias: -0.05, inputScale: 1.3 }),
    randomDictionary('0-topk', 'resid_post.0', d, F, { seed: 2, architecture: 'topk', k: 4, inputScale: 0.8 }),
    randomDictionary('1-jump', 'resid_post.1', d, F, { seed: 3, architecture: 'jumprelu', threshold: 0.5 }),
    randomDictionary('0-attention', 'attn_out.0', d, F, { seed: 4 }),
    randomDictionary('1-transcoder', 'mlp_in.1', d, F, { seed: 5, outputHookPoint: 'mlp_out.1', outputScale: 1.4, skip: true }),
    randomDictionary('0-topk-transcoder', 'mlp_in.0', d, F, { seed: 6, architecture: 'topk', k: 3, outputHookPoint: 'mlp_out.1' }),
    randomDictionary('1-mlp', 'mlp_out.1', d, F, { seed: 7, bias: -0.1 }),
  ];
}

function requestOf(ids: ArrayLike<number>, rest: Partial<GenerateRequest> = {}): GenerateRequest {
  return { ids: Int32Array.from(ids), maxTokens: 12, temperature: 0, topP: 1, seed: 0, stopIds: [], topLogprobs: 20, ...rest };
}

async function withModels(name: string, use: (generator: Generator, model: SubjectModel, random: Rng) => Promise<void>): Promise<void> {
  const [generator, model] = await Promise.all([
    openGenerator(`${FIXTURES}/${name}`, { device: 'cpu', threadsPerWorker: 1, contextLength: 48 }),
    openSubjectModel(`${FIXTURES}/${name}`, { device: 'cpu', workers: 1 }),
  ]);
  try {
    await use(generator, model, new Rng(11));
  } finally {
    await Promise.all([generator.close(), model.close()]);
  }
}

/** Every log-probability reported is the intervention engine's, for the same text edited at the same positions. Returns how far the edit moved them. */
async function compare(model: SubjectModel, prompt: Int32Array, { features, from }: Steering, { tokens }: Generated): Promise<number> {
  const whole = Int32Array.from([...prompt, ...tokens.map(({ id }) => id)]);
  const edited = Array.from({ length: whole.length }, (_, t) => t).filter((t) => t >= from);
  const interventions = features.map(({ weights, index, operation }): FeatureIntervention => ({ weights, index, operation, positions: edited }));
  const read = tokens.map((_, i) => prompt.length - 1 + i);
  const { logits } = await interveneOnce(model, { base: whole, target: null, features: interventions, read });
  const { vocabSize } = model.info;
  let moved = 0;
  for (const [i, token] of tokens.entries()) {
    const [patched, base] = [logits.patched, logits.base].map((all) => logSoftmax(all.subarray(i * vocabSize, (i + 1) * vocabSize)));
    for (const { id, logprob } of [token, ...token.top]) {
      assert.ok(Math.abs(logprob - patched[id]) < 1e-4, `token ${i}: ${logprob} for ${patched[id]}`);
      moved = Math.max(moved, Math.abs(logprob - base[id]));
    }
    assert.ok(patched[token.id] > Math.max(...patched) - 1e-4);
  }
  return moved;
}

function logSoftmax(logits: Float32Array): Float64Array {
  const max = Math.max(...logits);
  const total = max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return Float64Array.from(logits, (logit) => logit - total);
}

for (const name of ['neox-32', 'neox-10', 'llama-24', 'llama-12', 'llama-16', 'gpt2-8', 'gpt2-9']) {
  test(`${name}: steered text has the next-token distributions of the intervention engine`, async () => {
    await withModels(name, async (generator, model, rng) => {
      const { dModel, vocabSize } = model.info;
      const dictionaries = dictionariesOf(dModel);
      const cases: { prompt: Int32Array; steering: Steering }[] = [];
      const prompt = (): Int32Array => Int32Array.from({ length: 3 + rng.int(20) }, () => rng.int(vocabSize));
      for (const weights of dictionaries) {
        for (const operation of OPERATIONS) {
          const ids = prompt();
          cases.push({ prompt: ids, steering: { from: cases.length % 2 === 0 ? 0 : ids.length - 1, features: Array.from(rng.permutation(F).slice(0, 6), (index) => ({ weights, index, operation })) } });
        }
      }
      // Of several dictionaries at once, read behind one another's edits; from amid the prompt, and from behind it.
      for (let i = 0; i < 6; i++) {
        const ids = prompt();
        const features = dictionaries.flatMap((weights) => Array.from(rng.permutation(F).slice(0, 2), (index) => ({ weights, index, operation: rng.pick(OPERATIONS) })));
        cases.push({ prompt: ids, steering: { from: [0, ids.length - 1, 2, ids.length + 3, 1, 0][i], features } });
      }
      let moved = 0;
      const results = await Promise.all(cases.map(({ prompt: ids, steering }) => generator.generate(requestOf(ids, { steering }))));
      for (const [i, { prompt: ids, steering }] of cases.entries()) {
        assert.equal(results[i].tokens.length, 12);
        if ((await compare(model, ids, steering, results[i])) > 1e-2) moved++;
      }
      assert.ok(moved > cases.length * 0.8, `${moved} of ${cases.length} steerings showed`);
    });
  });
}

const EXACT = process.arch === 'x64' ? false : 'bits are compared on x64 only';

test('what a request gets does not depend on what is steered beside it or before it, to the last bit', { skip: EXACT }, async () => {
  for (const name of ['neox-32', 'llama-16']) {
    await withModels(name, async (generator, { info }, rng) => {
      const dictionaries = dictionariesOf(info.dModel).slice(1, 4);
      const shared = Array.from({ length: 25 }, () => rng.int(info.vocabSize));
      const requests = Array.from({ length: 24 }, (_, i): GenerateRequest => {
        const ids = [...shared.slice(0, [5, 17, 25][i % 3]), ...Array.from({ length: rng.int(3) }, () => rng.int(info.vocabSize))];
        const features = [{ weights: dictionaries[i % 2], index: 3, operation: OPERATIONS[1] }];
        return requestOf(ids, { maxTokens: 8 + rng.int(6), temperature: i % 2, seed: i, topLogprobs: 2, ...(i % 4 === 0 ? {} : { steering: { from: [0, ids.length - 1, 4][rng.int(3)], features } }) });
      });
      const alone: unknown[] = [];
      const fresh = await openGenerator(`${FIXTURES}/${name}`, { device: 'cpu', threadsPerWorker: 1, contextLength: 48, reusePrefixes: false });
      try {
        for (const request of requests) alone.push(await fresh.generate(request));
      } finally {
        await fresh.close();
      }
      assert.deepEqual(await Promise.all(requests.map((request) => generator.generate(request))), alone);
      for (const [i, request] of requests.toReversed().entries()) assert.deepEqual(await generator.generate(request), alone.at(-1 - i));
    });
  }
});

/** But for rounding. */
function assertSame({ tokens }: Generated, expected: Generated): void {
  assert.deepEqual(tokens.map(({ id }) => id), expected.tokens.map(({ id }) => id));
  for (const [i, { logprob }] of tokens.entries()) assert.ok(Math.abs(logprob - expected.tokens[i].logprob) < 1e-5, `token ${i}`);
}

describe('steering', () => {
  test('that changes nothing is no steering, and one of a silent feature gives the same text', async () => {
    await withModels('llama-24', async (generator, { info }) => {
      const [, weights] = dictionariesOf(info.dModel);
      const silent = { ...weights, encoderBias: new Float32Array(F).fill(-1e3), config: { ...weights.config, weightsHash: 'silent' } };
      const plain = await generator.generate(requestOf([1, 2, 3]));
      const steer = (features: SteeredFeature[]) => generator.generate(requestOf([1, 2, 3], { steering: { from: 0, features } }));
      assert.deepEqual(await steer([{ weights, index: 1, operation: { kind: 'scale', factor: 1 } }, { weights, index: 2, operation: { kind: 'add', value: 0 } }]), plain);
      assert.deepEqual(await steer([]), plain);
      for (const operation of [{ kind: 'ablate' }, { kind: 'scale', factor: 5 }, { kind: 'set', value: 0 }] as const) {
        assertSame(await steer([{ weights: silent, index: 1, operation }]), plain);
      }
    });
  });

  test('that cannot be done says why, and leaves no trace', async () => {
    await withModels('llama-12', async (generator, { info }) => {
      const [, weights] = dictionariesOf(info.dModel);
      const request = requestOf([5, 6, 7], { topLogprobs: 1 });
      const plain = await generator.generate(request);
      const rejected = (features: SteeredFeature[], expected: object, from = 0) =>
        assert.rejects(generator.generate({ ...request, steering: { from, features } }), expected);
      const add = (value: number, index = 0): SteeredFeature => ({ weights, index, operation: { kind: 'add', value } });
      await rejected([add(NaN)], { code: 'BAD_INPUT', message: /not finite/ });
      await rejected([add(1e39)], { code: 'BAD_INPUT', message: /too large/ });
      await rejected([add(1, F)], { code: 'BAD_INPUT', message: /expected 0 to 23/ });
      await rejected([add(1), add(2)], { code: 'BAD_INPUT', message: /steered twice/ });
      await rejected([add(1)], { code: 'BAD_INPUT', message: /from/ }, -1);
      await rejected([{ ...add(1), weights: tiedDictionary('wide', 'resid_post.0', 2 * info.dModel, F, { seed: 1, bias: 0 }) }], { code: 'BAD_DICTIONARY' });
      await rejected(Array.from({ length: F }, (_, index) => add(2.5e38, index)), { code: 'BAD_INPUT', message: /overflows at position/ });
      for (let i = 0; i < 9; i++) assertSame(await generator.generate(request), plain);
    });
  });
});

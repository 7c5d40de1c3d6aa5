import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InferenceSession } from 'onnxruntime-node';
import { operatorsOf } from '../../../src/adapters/ort/device.ts';
import { GeneratorEngine } from '../../../src/adapters/ort/generatorEngine.ts';
import type { GeneratorResult, PlannedRequest } from '../../../src/adapters/ort/generatorMessages.ts';
import { GeneratorSession } from '../../../src/adapters/ort/generatorSession.ts';
import { readModelFolder } from '../../../src/adapters/ort/modelFolder.ts';
import { planSteering } from '../../../src/adapters/ort/steeringPlan.ts';
import { compileCachedSpan } from '../../../src/lm/cachedSpan.ts';
import { randomDictionary } from '../../helpers/randomDictionary.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/generate/llama-24', import.meta.url));

function idsOf(result: GeneratorResult): number[] {
  assert.ok(result.kind === 'generate');
  return result.tokens.map(({ id }) => id);
}

for (const fit of [1, 2]) {
  test(`rows steered at different points do not push one another's session out at every token; ${fit} fit`, async (t) => {
    const { config, model, weights, info } = await readModelFolder(FOLDER);
    const span = compileCachedSpan(model, weights.layout, [], operatorsOf('cpu'));
    const setup = { config, span, vocabSize: info.vocabSize, weights: weights.buffer, device: 'cpu', threads: 1, slots: 4, maxLength: 48, reuse: true } as const;
    let open = 0;
    let mostOpen = 0;
    const original = InferenceSession.create.bind(InferenceSession) as (bytes: Uint8Array, options: InferenceSession.SessionOptions) => Promise<InferenceSession>;
    const create = t.mock.method(InferenceSession, 'create', async (bytes: Uint8Array, options: InferenceSession.SessionOptions) => {
      mostOpen = Math.max(mostOpen, ++open);
      const made = await original(bytes, options);
      t.mock.method(made, 'release', () => (open--, Promise.resolve()));
      return made;
    });
    const session = await GeneratorSession.open(setup, fit * span.weightBytes);
    const engine = new GeneratorEngine(session, info.vocabSize, true);
    const requestAt = (layer: number | null, seed: number): PlannedRequest => {
      const features = layer === null ? [] : [{ weights: randomDictionary(`${layer}`, `resid_post.${layer}`, info.dModel, 8, { seed: 1 }), index: 2, operation: { kind: 'add', value: 3 } as const }];
      return { ids: Int32Array.of(1, 2, 3), maxTokens: 8, temperature: 1, topP: 1, seed, stopIds: [], topLogprobs: 0, steering: planSteering({ features, from: 0 }, info) };
    };
    const requests = [0, 1, null, 0, 1, 1].map((layer, i) => requestAt(layer, i));
    const together = await Promise.all(requests.map((request) => engine.generate(request, null)));
    // The plain one, then one a turn: 0 | 1, plain | 0 | 1, 1 where one fits.
    assert.equal(create.mock.callCount(), 1 + (fit === 1 ? 4 : 2));
    // Never a third copy of the weights while one is exchanged for another.
    assert.equal(mostOpen, 1 + fit);
    for (const [i, request] of requests.entries()) assert.deepEqual(idsOf(together[i]), idsOf(await engine.generate(request, null)));
  });
}

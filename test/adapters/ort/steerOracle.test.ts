import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openGenerator } from '../../../src/adapters/ort/openGenerator.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import type { SteeredFeature } from '../../../src/ports/Generator.ts';

const FIXTURES = fileURLToPath(new URL('../../fixtures', import.meta.url));

interface Listed {
  readonly at: HookPoint;
  readonly k: number | null;
  readonly inputScale: number;
  readonly outputScale: number;
  readonly bias: readonly number[];
  readonly encoder: readonly (readonly number[])[];
  readonly decoder: readonly (readonly number[])[];
}
interface Fixture {
  readonly model: string;
  readonly dictionaries: Readonly<Record<string, Listed>>;
  readonly cases: readonly {
    readonly prompt: readonly number[];
    readonly from: number;
    readonly features: readonly { readonly dictionary: string; readonly index: number; readonly operation: SteeredFeature['operation'] }[];
    readonly ids: readonly number[];
    readonly logprobs: readonly number[];
  }[];
}

function weightsOf(name: string, { at, k, inputScale, outputScale, bias, encoder, decoder }: Listed): DictionaryWeights {
  const d = decoder[0].length;
  return {
    config: {
      formatVersion: 1, name, model: 'oracle', hookPoint: at, outputHookPoint: name === 'transcoder' ? 'mlp_out.0' : null, architecture: k === null ? 'untied' : 'topk',
      dIn: d, dOut: d, nFeatures: bias.length, k, l1: null, inputScale, outputScale, weightsHash: `oracle-${name}`, run: 'oracle',
    },
    encoder: Float32Array.from(encoder.flat()), encoderBias: Float32Array.from(bias), threshold: null,
    decoder: Float32Array.from(decoder.flat()), decoderBias: new Float32Array(d), skip: null,
  };
}

for (const file of readdirSync(`${FIXTURES}/steer`)) {
  const { model, dictionaries, cases } = JSON.parse(readFileSync(`${FIXTURES}/steer/${file}`, 'utf8')) as Fixture;
  test(`${model}: steered greedy text is what PyTorch hooks make Hugging Face transformers write`, async () => {
    const generator = await openGenerator(`${FIXTURES}/generate/${model}`, { device: 'cpu', threadsPerWorker: 1 });
    try {
      const byName = new Map(Object.entries(dictionaries).map(([name, listed]) => [name, weightsOf(name, listed)]));
      await Promise.all(cases.map(async ({ prompt, from, features, ids, logprobs }) => {
        const steering = { from, features: features.map(({ dictionary, index, operation }) => ({ weights: byName.get(dictionary)!, index, operation })) };
        const { tokens } = await generator.generate({ ids: Int32Array.from(prompt), maxTokens: ids.length, temperature: 0, topP: 1, seed: 0, stopIds: [], topLogprobs: 0, steering });
        assert.deepEqual(tokens.map(({ id }) => id), ids);
        for (const [i, { logprob }] of tokens.entries()) assert.ok(Math.abs(logprob - logprobs[i]) < 1e-4, `token ${i}: ${logprob} for ${logprobs[i]}`);
      }));
    } finally {
      await generator.close();
    }
  });
}

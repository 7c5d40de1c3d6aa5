import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { FeatureIntervention } from '../../src/interventions/intervention.ts';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import type { PatchOperation } from '../../src/domain/patch.ts';
import { interveneOnce } from '../helpers/interveneOnce.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/patch/', import.meta.url));
const TOLERANCE = 1e-4;

interface Fixture {
  readonly weightsSha256: string;
  readonly inputScale: number;
  readonly base: readonly number[];
  readonly target: readonly number[];
  readonly dictionaries: readonly { readonly encoder: number[][]; readonly decoder: number[][]; readonly bias: number[] }[];
  readonly features: readonly { layer: number; index: number; operation: PatchOperation; positions: number[]; before: number[]; after: number[] }[];
  readonly klFromBase: readonly number[];
  readonly klFromTarget: readonly number[];
  readonly klBaseFromTarget: readonly number[];
  readonly lastLogProbs: readonly number[];
  readonly editMagnitude: number;
}

function assertClose(found: ArrayLike<number>, expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(found[i] - expected[i]);
    assert.ok(error <= TOLERANCE * Math.max(1, Math.abs(expected[i])), `${what}[${i}]: ${found[i]} for ${expected[i]}`);
  }
}

describe('a patch equals PyTorch hooks (scripts/oracle/patch.py)', () => {
  for (const file of readdirSync(FOLDER)) {
    const name = basename(file, '.json');
    const { folder, missing } = readFixture(name);
    test(name, { skip: folder === undefined ? missing : false }, async () => {
      const expected = JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8')) as Fixture;
      const model = await openSubjectModel(folder!, { device: 'cpu', workers: 1 });
      try {
        assert.equal(model.info.weightsHash, expected.weightsSha256, 'the fixture was made with other weights: run the oracle again');
        const dictionaries = expected.dictionaries.map(({ encoder, decoder, bias }, layer) => ({
          ...tiedDictionary(`${layer}-oracle`, `resid_post.${layer}`, model.info.dModel, bias.length, { seed: 0, bias: 0, inputScale: expected.inputScale }),
          encoder: Float32Array.from(encoder.flat()),
          decoder: Float32Array.from(decoder.flat()),
          encoderBias: Float32Array.from(bias),
        }));
        const features = expected.features.map(({ layer, index, operation, positions }): FeatureIntervention => ({ weights: dictionaries[layer], index, operation, positions }));
        const read = expected.base.map((_, t) => t);
        const found = await interveneOnce(model, { base: Int32Array.from(expected.base), target: Int32Array.from(expected.target), features, read });
        const vocab = model.info.vocabSize;
        const [base, target, patched] = [found.logits.base, found.logits.target!, found.logits.patched].map((logits) => read.map((t) => logSoftmax(logits, t * vocab, vocab)));
        assertClose(read.map((t) => klDivergence(patched[t], base[t])), expected.klFromBase, 'KL(patched‖base)');
        assertClose(read.map((t) => klDivergence(patched[t], target[t])), expected.klFromTarget, 'KL(patched‖target)');
        assertClose(read.map((t) => klDivergence(base[t], target[t])), expected.klBaseFromTarget, 'KL(base‖target)');
        assertClose(patched[patched.length - 1], expected.lastLogProbs, 'log-probabilities');
        assertClose([found.magnitude], [expected.editMagnitude], 'edit magnitude');
        found.features.forEach(({ before, after }, i) => {
          assertClose(before, expected.features[i].before, `before ${i}`);
          assertClose(after, expected.features[i].after, `after ${i}`);
        });
        assert.ok(Math.max(...expected.klFromBase) > 0.001, 'the patch must do something');
      } finally {
        await model.close();
      }
    });
  }
});

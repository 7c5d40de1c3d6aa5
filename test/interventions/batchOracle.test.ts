import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import type { Intervention } from '../../src/interventions/intervention.ts';
import { oracleDictionary, type OracleBatch } from '../helpers/oracleDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/patch/', import.meta.url));
const TOLERANCE = 1e-4;

function assertClose(found: ArrayLike<number>, expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(found[i] - expected[i]);
    assert.ok(error <= TOLERANCE * Math.max(1, Math.abs(expected[i])), `${what}[${i}]: ${found[i]} for ${expected[i]}`);
  }
}

describe('several interventions in one call equal PyTorch hooks one by one (scripts/oracle/patch.py)', () => {
  for (const file of readdirSync(FOLDER)) {
    const name = basename(file, '.json');
    const { folder, missing } = readFixture(name);
    test(name, { skip: folder === undefined ? missing : false }, async () => {
      const { batch, weightsSha256 } = JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8')) as { batch: OracleBatch; weightsSha256: string };
      const model = await openSubjectModel(folder!, { device: 'cpu', workers: 1 });
      try {
        assert.equal(model.info.weightsHash, weightsSha256, 'the fixture was made with other weights: run the oracle again');
        const { dModel } = model.info;
        const dictionaries = new Map(Object.entries(batch.dictionaries).map(([key, one]) => [key, oracleDictionary(key, dModel, one)]));
        const watched = dictionaries.get('watched')!;
        const interventions = batch.interventions.map(({ prompt, target, error, features }): Intervention => ({
          prompt,
          target,
          error,
          features: features.map(({ dictionary, ...rest }) => ({ weights: dictionaries.get(dictionary)!, ...rest })),
          measures: {
            positions: batch.prompts[prompt].map((_, t) => t),
            klFromBase: true,
            klFromTarget: true,
            logitDifferences: [batch.pair],
            loss: true,
            editMagnitude: true,
            watch: Array.from({ length: watched.config.nFeatures }, (_, index) => ({ weights: watched, index })),
          },
        }));
        const prompts = batch.prompts.map((ids) => Int32Array.from(ids));
        // All at once; then so few tokens at a time that prompts and rows go one by one.
        for (const batchTokens of [4096, 1]) {
          const results = await intervene(model, { prompts, interventions }, { batchTokens });
          for (const [i, expected] of batch.interventions.entries()) {
            const { predictions, editMagnitude, watched: seen } = results[i];
            const of = (what: string): string => `intervention ${i}: ${what}`;
            assertClose(predictions.map(({ klFromBase }) => klFromBase!), expected.klFromBase, of('KL(patched‖base)'));
            if (expected.klFromTarget === null) assert.ok(predictions.every(({ klFromTarget }) => klFromTarget === null));
            else assertClose(predictions.map(({ klFromTarget }) => klFromTarget!), expected.klFromTarget, of('KL(patched‖target)'));
            assertClose(predictions.map(({ logitDifferences }) => logitDifferences[0].patched), expected.logitDifference, of('logit difference'));
            assertClose(predictions.map(({ logitDifferences }) => logitDifferences[0].base), expected.baseLogitDifference, of('logit difference before'));
            assertClose(predictions.slice(0, -1).map(({ loss }) => loss!.patched - loss!.base), expected.lossChange, of('loss change'));
            assert.equal(predictions.at(-1)!.loss, null);
            assertClose(editMagnitude!.perPosition, expected.editNorms, of('edit norms'));
            seen.forEach(({ before, after }, j) => {
              assertClose(before, expected.watched[j].before, of(`watched ${j} before`));
              assertClose(after, expected.watched[j].after, of(`watched ${j} after`));
            });
            assert.ok(Math.max(...expected.klFromBase) > 0.001, of('must do something'));
          }
        }
      } finally {
        await model.close();
      }
    });
  }
});

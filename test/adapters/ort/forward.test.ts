import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import type { SubjectModel } from '../../../src/ports/SubjectModel.ts';
import { absoluteError, lmFixtures, relativeError } from '../../lm/fixture.ts';
import type { Expected } from '../../lm/fixture.ts';

/** The tolerances: residuals relative, logits absolute, split against whole. */
const RESIDUAL = 1e-4;
const LOGITS = 1e-3;
const SPLIT = 1e-5;

function boundary(i: number): HookPoint {
  return i === 0 ? 'embed' : `resid_post.${i - 1}`;
}

for (const fixture of lmFixtures()) {
  describe(`${fixture.name}: as Hugging Face transformers`, { skip: fixture.folder === undefined ? fixture.missing : false }, () => {
    let model: SubjectModel;
    before(async () => {
      model = await openSubjectModel(fixture.folder!, { device: 'cpu', workers: 1 });
      if (fixture.weightsHash !== undefined) assert.equal(model.info.weightsHash, fixture.weightsHash, 'the fixture was made with other weights: run the oracle again');
    });
    after(() => model.close());

    for (const kind of ['plain', 'padded'] as const) {
      const expected: Expected = fixture[kind];
      const { batch, layers, dModel, vocab } = expected;
      const block = batch.rows * batch.cols * dModel;

      test(`${kind} batch: every hook point and the logits`, async () => {
        const taps: HookPoint[] = [];
        for (let i = 0; i <= layers; i++) taps.push(boundary(i));
        for (let l = 0; l < layers; l++) taps.push(`resid_pre.${l}`, `attn_out.${l}`, `mlp_in.${l}`, `mlp_out.${l}`);
        const result = await model.forward({ batch, taps, logits: 'all' });
        const check = (hook: HookPoint, from: Float32Array, index: number): void => {
          const error = relativeError(result.taps.get(hook)!, from, index * block, dModel, batch);
          assert.ok(error < RESIDUAL, `${hook}: relative error ${error}`);
        };
        for (let i = 0; i <= layers; i++) check(boundary(i), expected.stream, i);
        for (let l = 0; l < layers; l++) {
          check(`resid_pre.${l}`, expected.stream, l);
          check(`attn_out.${l}`, expected.attnOut, l);
          check(`mlp_in.${l}`, expected.mlpIn, l);
          check(`mlp_out.${l}`, expected.mlpOut, l);
        }
        const error = absoluteError(result.logits!, expected.logits, vocab, batch);
        assert.ok(error < LOGITS, `logits: absolute error ${error}`);
      });

      test(`${kind} batch: last logits are those of each row's last real position`, async () => {
        const { logits } = await model.forward({ batch, taps: [], logits: 'last' });
        assert.equal(logits!.length, batch.rows * vocab);
        for (let b = 0; b < batch.rows; b++) {
          const at = (b * batch.cols + batch.lengths[b] - 1) * vocab;
          for (let v = 0; v < vocab; v++) assert.ok(Math.abs(logits![b * vocab + v] - expected.logits[at + v]) < LOGITS);
        }
      });

      test(`${kind} batch: embed to i, then i to logits, equals the whole`, async () => {
        const whole = await model.forward({ batch, taps: [boundary(layers)], logits: 'all' });
        for (let i = 0; i <= layers; i++) {
          const first = await model.forward({ batch, taps: [boundary(i)], logits: 'none' });
          const from = { at: boundary(i), residual: first.taps.get(boundary(i))! };
          const rest = await model.forward({ batch: { ...batch, ids: new Int32Array(0) }, from, taps: [boundary(layers)], logits: 'all' });
          const error = relativeError(rest.taps.get(boundary(layers))!, whole.taps.get(boundary(layers))!, 0, dModel, batch);
          assert.ok(error < SPLIT, `split at ${i}: residual differs by ${error}`);
          const logits = relativeError(rest.logits!, whole.logits!, 0, vocab, batch);
          assert.ok(logits < SPLIT, `split at ${i}: logits differ by ${logits}`);
        }
      });
    }
  });
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { ForwardRequest } from '../../../src/ports/SubjectModel.ts';
import { lmFixtures } from '../../lm/fixture.ts';

/** Taps at some positions, and the last logits, are computed only there in the last layer: they must be those of a whole run. */
for (const { name, folder, missing, padded } of lmFixtures()) {
  describe(`${name}: only some positions of the last layer`, { skip: folder === undefined ? missing : false }, () => {
    test('give what a whole run gives', async () => {
      const { batch, dModel: d, layers, vocab } = padded;
      const model = await openSubjectModel(folder!, { device: 'cpu', workers: 1 });
      try {
        const rng = new Rng(5);
        const noise = (): Float32Array => Float32Array.from({ length: batch.rows * batch.cols * d }, () => 0.3 * rng.normal());
        const late: HookPoint[] = [`attn_out.${layers - 1}`, `mlp_in.${layers - 1}`, `mlp_out.${layers - 1}`, `resid_post.${layers - 1}`];
        const edits = [...late, `resid_pre.${layers - 1}` as const].map((at) => ({ at, delta: noise() }));
        const whole = await model.forward({ batch, edits, taps: [...late, 'embed'], logits: 'all' });
        /** Some positions of each row; of one row none. */
        const tapsAt = Array.from(batch.lengths, (length, b) => (b === 1 ? [] : [...new Set([rng.int(length), length - 1])].sort((a, c) => a - c)));
        const check = async (request: Omit<ForwardRequest, 'batch' | 'edits'>): Promise<void> => {
          const found = await model.forward({ batch, edits, ...request });
          for (const hook of request.taps) {
            const everywhere = hook === 'embed' ? Array.from(batch.lengths, (length) => Array.from({ length }, (_, t) => t)) : tapsAt;
            for (const [b, at] of everywhere.entries()) {
              for (const t of at) {
                for (let i = (b * batch.cols + t) * d; i < (b * batch.cols + t + 1) * d; i++) {
                  const [one, other] = [found.taps.get(hook)![i], whole.taps.get(hook)![i]];
                  assert.ok(Math.abs(one - other) < 1e-4 * (1 + Math.abs(other)), `${hook} row ${b} position ${t}: ${one} for ${other}`);
                }
              }
            }
          }
          if (request.logits === 'none') return;
          for (const [b, length] of batch.lengths.entries()) {
            for (let v = 0; v < vocab; v++) assert.ok(Math.abs(found.logits![b * vocab + v] - whole.logits![(b * batch.cols + length - 1) * vocab + v]) < 1e-4);
          }
        };
        for (const logits of ['last', 'none'] as const) {
          await check({ taps: [...late, 'embed'], tapsAt, logits });
          await check({ taps: [late[0]], tapsAt, logits });
          const residual = (await model.forward({ batch, edits, taps: [`resid_pre.${layers - 1}`], logits: 'none' })).taps.get(`resid_pre.${layers - 1}`)!;
          const found = await model.forward({ batch, edits: edits.slice(0, 4), from: { at: `resid_pre.${layers - 1}`, residual }, taps: [late[3]], tapsAt, logits });
          const [t] = tapsAt[0];
          for (let i = t * d; i < (t + 1) * d; i++) assert.ok(Math.abs(found.taps.get(late[3])![i] - whole.taps.get(late[3])![i]) < 1e-4 * (1 + Math.abs(whole.taps.get(late[3])![i])));
        }
        await check({ taps: [], logits: 'last' });
        for (const wrong of [[[0]], tapsAt.map(() => [1, 1]), tapsAt.map(() => [batch.cols])]) {
          await assert.rejects(model.forward({ batch, taps: ['embed'], tapsAt: wrong, logits: 'none' }), { code: 'BAD_INPUT' });
        }
      } finally {
        await model.close();
      }
    });
  });
}

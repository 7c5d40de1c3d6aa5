import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WorkerTask } from '../../../src/adapters/ort/messages.ts';
import { narrow } from '../../../src/adapters/ort/narrow.ts';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { ForwardRequest } from '../../../src/ports/SubjectModel.ts';
import { lmFixtures, readFixture } from '../../lm/fixture.ts';

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
        /** Behind the last layer's attention nothing is computed where it is not wanted: there the result has zeros. */
        const checkNarrowed = async (logits: 'last' | 'none'): Promise<void> => {
          const { taps } = await model.forward({ batch, edits, taps: late, tapsAt, logits });
          for (const hook of late) {
            for (const [b, length] of batch.lengths.entries()) {
              for (let t = 0; t < batch.cols; t++) {
                if (tapsAt[b].includes(t) || t === 0 || t === length - 1) continue; // 0 stands for none
                const at = (b * batch.cols + t) * d;
                assert.ok(taps.get(hook)!.subarray(at, at + d).every((value) => value === 0), `${hook} row ${b} position ${t} was computed`);
              }
            }
          }
        };
        for (const logits of ['last', 'none'] as const) {
          await checkNarrowed(logits);
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

describe('how far a task is narrowed', () => {
  const layers = 3;
  const task = (spec: Partial<WorkerTask['spec']>, rest: Partial<WorkerTask> = {}): WorkerTask => ({
    spec: { from: null, taps: [], sites: [], logits: 'last', ...spec },
    rows: 3, cols: 10, lengths: Int32Array.of(10, 1, 6), ids: new Int32Array(30), residual: null, deltas: [], tapsAt: null, keep: [], encode: [], ...rest,
  });
  const found = (one: WorkerTask): unknown[] | null => {
    const narrowed = narrow(one, layers);
    return narrowed === null ? null : [narrowed.width, [...narrowed.positions]];
  };
  const tapsAt = [[0, 4], [], [5]];
  const encoder = { key: '', dIn: 1, nFeatures: 1, inputScale: 1, k: null, threshold: null, data: new SharedArrayBuffer(8) };

  test('to the positions that are wanted, the last one repeated in shorter rows', () => {
    assert.deepEqual(found(task({})), [1, [9, 0, 5]]);
    assert.deepEqual(found(task({ taps: ['stream.2'] })), [1, [9, 0, 5]]);
    assert.deepEqual(found(task({ taps: ['stream.3'] }, { tapsAt })), [3, [0, 4, 9, 0, 0, 0, 5, 5, 5]]);
    assert.deepEqual(found(task({ taps: ['stream.3'], logits: 'none' }, { tapsAt })), [2, [0, 4, 0, 0, 5, 5]]);
    assert.deepEqual(found(task({ taps: ['stream.1', 'mlp_in.1'], logits: 'none', from: 1 }, { tapsAt })), [2, [0, 4, 0, 0, 5, 5]]);
  });

  test('not at all where every position is wanted, or nearly', () => {
    assert.equal(found(task({ logits: 'all' })), null);
    assert.equal(found(task({ taps: ['attn_out.2'] })), null);
    assert.equal(found(task({ taps: ['attn_out.2'] }, { tapsAt: [[1, 2, 3, 4, 5, 6, 7], [], []] })), null);
    assert.equal(found(task({ taps: ['mlp_in.2'] }, { tapsAt, encode: [{ at: 'mlp_in.2', encoder }] })), null);
    assert.equal(found(task({ logits: 'none', taps: [], gradient: { of: 'logits', wrt: ['stream.0'] } })), null);
    assert.equal(found(task({ from: layers })), null);
    assert.equal(found(task({ from: 1, logits: 'none', taps: ['stream.1'] }, { tapsAt })), null);
  });
});

test('batches so large that they run in pieces: each piece gets its own positions, edits and places', async () => {
  const model = await openSubjectModel(readFixture('llama-gqa').folder!, { device: 'cpu', workers: 1 });
  try {
    const { dModel: d, layers, vocabSize } = model.info;
    const rng = new Rng(8);
    const [rows, cols] = [200, 12]; // more than 2048 tokens, no multiple of a piece
    const lengths = Int32Array.from({ length: rows }, () => 1 + rng.int(cols));
    const batch = { rows, cols, ids: Int32Array.from({ length: rows * cols }, () => rng.int(vocabSize)), lengths };
    const delta = Float32Array.from({ length: rows * cols * d }, () => 0.3 * rng.normal());
    const tapsAt = Array.from(lengths, (length, b) => (b % 7 === 0 ? [] : [rng.int(length)]));
    const [before, at, final]: HookPoint[] = [`resid_post.${layers - 2}`, `mlp_out.${layers - 1}`, `resid_post.${layers - 1}`];
    const edits = [{ at, delta }];
    const whole = await model.forward({ batch, edits, taps: [before, at, final], logits: 'last' });
    for (const from of [undefined, { at: before, residual: whole.taps.get(before)! }]) {
      const found = await model.forward({ batch, edits, ...(from === undefined ? {} : { from }), taps: [at, final], tapsAt, logits: 'last' });
      for (const hook of [at, final]) {
        for (const [b, [t]] of tapsAt.entries()) {
          if (t === undefined) continue;
          for (let i = (b * cols + t) * d; i < (b * cols + t + 1) * d; i++) assert.ok(Math.abs(found.taps.get(hook)![i] - whole.taps.get(hook)![i]) < 1e-4, `${hook} row ${b} position ${t}`);
        }
      }
      for (const [i, value] of found.logits!.entries()) assert.ok(Math.abs(value - whole.logits![i]) < 1e-4, `logits of row ${Math.floor(i / vocabSize)}`);
    }
  } finally {
    await model.close();
  }
});

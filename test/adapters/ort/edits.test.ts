import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { SubjectModel } from '../../../src/ports/SubjectModel.ts';
import { readFixture } from '../../lm/fixture.ts';

/**
 * What an edit does is derived here from the definition: residual streams are sums of what was added to them, and a run from a
 * boundary sees nothing but the stream there.
 */
for (const name of ['neox-parallel', 'neox-serial', 'gpt2-plain', 'llama-gqa']) {
  describe(`edits on ${name}`, () => {
    const fixture = readFixture(name);
    const { batch, layers, dModel } = fixture.padded;
    const count = batch.rows * batch.cols * dModel;
    let model: SubjectModel;
    before(async () => {
      model = await openSubjectModel(fixture.folder!, { device: 'cpu', workers: 1 });
    });
    after(() => model.close());

    const noise = (seed: number): Float32Array => {
      const rng = new Rng(seed);
      return Float32Array.from({ length: count }, () => rng.normal());
    };
    const close = (a: Float32Array, b: Float32Array, what: string): void => {
      assert.equal(a.length, b.length, what);
      for (let r = 0; r < batch.rows; r++) {
        const width = a.length / (batch.rows * batch.cols);
        for (let i = r * batch.cols * width; i < (r * batch.cols + batch.lengths[r]) * width; i++) {
          assert.ok(Math.abs(a[i] - b[i]) <= 1e-4 * (1 + Math.abs(b[i])), `${what} [${i}]: ${a[i]} is not ${b[i]}`);
        }
      }
    };
    const add = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + b[i]);

    test('an edit of the stream is a run from the edited stream', async () => {
      const delta = noise(1);
      const edited = await model.forward({ batch, edits: [{ at: 'resid_post.0', delta }], taps: ['resid_post.0', 'attn_out.1'], logits: 'all' });
      const plain = await model.forward({ batch, taps: ['resid_post.0'], logits: 'all' });
      const residual = add(plain.taps.get('resid_post.0')!, delta);
      close(edited.taps.get('resid_post.0')!, residual, 'the tap comes after the edit');
      const rest = await model.forward({ batch, from: { at: 'resid_pre.1', residual }, taps: ['attn_out.1'], logits: 'all' });
      close(edited.logits!, rest.logits!, 'logits');
      close(edited.taps.get('attn_out.1')!, rest.taps.get('attn_out.1')!, 'attn_out.1');
      assert.ok(Math.abs(edited.logits![0] - plain.logits![0]) > 1e-4, 'the edit reaches the logits');
    });

    test('an edit of a branch is added to the stream after it', async () => {
      const delta = noise(2);
      const last = layers - 1;
      const taps: HookPoint[] = [`mlp_out.${last}`, `resid_post.${last}`];
      const plain = await model.forward({ batch, taps, logits: 'none' });
      const edited = await model.forward({ batch, edits: [{ at: `mlp_out.${last}`, delta }], taps, logits: 'none' });
      for (const tap of taps) close(edited.taps.get(tap)!, add(plain.taps.get(tap)!, delta), tap);
    });

    test('an edit of attention moves the MLP only where the block is serial', async () => {
      const delta = noise(3);
      const taps: HookPoint[] = ['attn_out.0', 'mlp_out.0', 'resid_post.0'];
      const plain = await model.forward({ batch, taps, logits: 'none' });
      const edited = await model.forward({ batch, edits: [{ at: 'attn_out.0', delta }], taps, logits: 'none' });
      close(edited.taps.get('attn_out.0')!, add(plain.taps.get('attn_out.0')!, delta), 'attn_out.0');
      const moved = edited.taps.get('mlp_out.0')!.some((value, i) => Math.abs(value - plain.taps.get('mlp_out.0')![i]) > 1e-3);
      assert.equal(moved, name !== 'neox-parallel');
    });

    test('an edit of what the MLP receives moves the MLP alone, by as much as the same input elsewhere', async () => {
      const delta = noise(7);
      const taps: HookPoint[] = ['attn_out.0', 'mlp_in.0', 'mlp_out.0', 'resid_post.0'];
      const plain = await model.forward({ batch, taps, logits: 'none' });
      const edited = await model.forward({ batch, edits: [{ at: 'mlp_in.0', delta }], taps, logits: 'none' });
      close(edited.taps.get('attn_out.0')!, plain.taps.get('attn_out.0')!, 'attn_out.0');
      close(edited.taps.get('mlp_in.0')!, add(plain.taps.get('mlp_in.0')!, delta), 'mlp_in.0');
      const change = edited.taps.get('mlp_out.0')!.map((value, i) => value - plain.taps.get('mlp_out.0')![i]);
      assert.ok(change.some((value) => Math.abs(value) > 1e-3));
      close(edited.taps.get('resid_post.0')!, add(plain.taps.get('resid_post.0')!, change), 'resid_post.0');
      // The MLP is a function of one position: where its input is not edited, its output stays.
      const first = delta.map((value, i) => (Math.floor(i / dModel) % batch.cols === 0 ? value : 0));
      const one = await model.forward({ batch, edits: [{ at: 'mlp_in.0', delta: first }], taps: ['mlp_out.0'], logits: 'none' });
      const expected = plain.taps.get('mlp_out.0')!.map((value, i) => (Math.floor(i / dModel) % batch.cols === 0 ? edited.taps.get('mlp_out.0')![i] : value));
      close(one.taps.get('mlp_out.0')!, expected, 'mlp_out.0');
    });

    test('names of one point are one point: their edits add up, their taps agree', async () => {
      const [a, b] = [noise(4), noise(5)];
      const both = await model.forward({ batch, edits: [{ at: 'resid_post.0', delta: a }, { at: 'resid_pre.1', delta: b }], taps: ['resid_pre.1', 'resid_post.0'], logits: 'last' });
      const sum = await model.forward({ batch, edits: [{ at: 'resid_pre.1', delta: add(a, b) }], taps: ['resid_pre.1'], logits: 'last' });
      close(both.taps.get('resid_post.0')!, sum.taps.get('resid_pre.1')!, 'taps');
      assert.deepEqual(both.taps.get('resid_pre.1'), both.taps.get('resid_post.0'));
    });

    test('edits after the last tap change nothing and are no error', async () => {
      const plain = await model.forward({ batch, taps: ['embed'], logits: 'none' });
      const edited = await model.forward({ batch, edits: [{ at: 'resid_post.0', delta: noise(6) }], taps: ['embed'], logits: 'none' });
      assert.deepEqual(edited.taps.get('embed'), plain.taps.get('embed'));
    });

    test('padding does not reach real positions, and runs at once do not mix', async () => {
      const other = { ...batch, ids: batch.ids.map((id, i) => (i % batch.cols < batch.lengths[Math.floor(i / batch.cols)] ? id : 7)) };
      const request = { taps: [`resid_post.${layers - 1}`] as const, logits: 'none' as const };
      const results = await Promise.all([batch, other, batch, other].map((each) => model.forward({ batch: each, ...request })));
      const [first, ...rest] = results.map((result) => result.taps.get(request.taps[0])!);
      for (const each of rest) close(each, first, 'streams');
    });
  });
}

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { loadWeights } from '../../src/adapters/ort/loadWeights.ts';
import { openWeightFiles } from '../../src/adapters/ort/weightFiles.ts';
import { depthOf, layersBefore, pointOf } from '../../src/lm/point.ts';
import type { Point } from '../../src/lm/point.ts';
import { readLanguageModel } from '../../src/lm/registry.ts';
import { compileSpan, spanKey } from '../../src/lm/span.ts';
import { WEIGHTS_LOCATION } from '../../src/lm/spanContext.ts';
import { absoluteError, lmFixtures, relativeError } from './fixture.ts';

/** The operators other devices get, run on the CPU: the same numbers as transformers. */
for (const { name, folder, missing, plain } of lmFixtures()) {
  describe(`${name}: standard operators only`, { skip: folder === undefined ? missing : false }, () => {
    test('streams and logits as Hugging Face transformers', async () => {
      const model = readLanguageModel(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')));
      const { layout, buffer } = await loadWeights(model, await openWeightFiles(folder!));
      const taps = Array.from({ length: model.layers + 1 }, (_, i): Point => `stream.${i}`);
      const span = compileSpan(model, layout, { from: null, taps, sites: [], logits: 'all' }, 'plain');
      const session = await InferenceSession.create(span.bytes, { externalData: [{ path: WEIGHTS_LOCATION, data: new Uint8Array(buffer) }] });
      const { batch, dModel, vocab, stream, logits } = plain;
      const feeds: Record<string, Tensor> = {
        ids: new Tensor('int32', batch.ids, [batch.rows, batch.cols]),
        total: new Tensor('int32', Int32Array.of(batch.cols), []),
      };
      const out = await session.run(Object.fromEntries(span.inputs.map((input) => [input, feeds[input]])));
      const block = batch.rows * batch.cols * dModel;
      for (const [i, tap] of taps.entries()) {
        const error = relativeError(out[`tap:${tap}`].data as Float32Array, stream, i * block, dModel, batch);
        assert.ok(error < 1e-4, `${tap}: relative error ${error}`);
      }
      const error = absoluteError(out['logits'].data as Float32Array, logits, vocab, batch);
      assert.ok(error < 1e-3, `logits: absolute error ${error}`);
      await session.release();
    });
  });
}

test('layers past the last tap are not compiled', async () => {
  const fixture = lmFixtures().find(({ name }) => name === 'neox-parallel')!;
  const model = readLanguageModel(JSON.parse(readFileSync(`${fixture.folder}/config.json`, 'utf8')));
  const { layout } = await loadWeights(model, await openWeightFiles(fixture.folder!));
  const bytesOf = (taps: Point[], logits: 'none' | 'last' = 'none') => compileSpan(model, layout, { from: null, taps, sites: [], logits }, 'cpu').weightBytes;
  assert.ok(bytesOf(['stream.0']) < bytesOf(['stream.1']));
  assert.ok(bytesOf(['stream.1']) < bytesOf(['stream.2']));
  assert.ok(bytesOf(['stream.2']) < bytesOf(['stream.0'], 'last'));
});

test('points of a run come in order, and names of one stream are one point', () => {
  assert.equal(pointOf('embed', 3), pointOf('resid_pre.0', 3));
  assert.equal(pointOf('resid_post.1', 3), pointOf('resid_pre.2', 3));
  const order = (['embed', 'attn_out.0', 'mlp_in.0', 'mlp_out.0', 'resid_post.0', 'attn_out.1', 'mlp_in.1', 'resid_post.1'] as const).map((hook) => depthOf(pointOf(hook, 3)));
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
  assert.equal(new Set(order).size, order.length);
  assert.deepEqual((['stream.0', 'attn_out.0', 'mlp_in.0', 'mlp_out.0', 'stream.1', 'attn_out.1', 'mlp_out.1'] as const).map(layersBefore), [0, 1, 1, 1, 1, 2, 2]);
});

test('the key of a span does not depend on the order of its taps and sites', () => {
  const a = spanKey({ from: null, taps: ['stream.1', 'attn_out.0'], sites: ['stream.0', 'mlp_out.0'], logits: 'none' });
  const b = spanKey({ from: null, taps: ['attn_out.0', 'stream.1'], sites: ['mlp_out.0', 'stream.0'], logits: 'none' });
  assert.equal(a, b);
  assert.notEqual(a, spanKey({ from: 0, taps: ['stream.1', 'attn_out.0'], sites: ['stream.0', 'mlp_out.0'], logits: 'none' }));
});

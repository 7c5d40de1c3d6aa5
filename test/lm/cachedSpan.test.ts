import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { loadWeights } from '../../src/adapters/ort/loadWeights.ts';
import { openWeightFiles } from '../../src/adapters/ort/weightFiles.ts';
import { compileCachedSpan } from '../../src/lm/cachedSpan.ts';
import type { Point } from '../../src/lm/point.ts';
import { readLanguageModel } from '../../src/lm/registry.ts';
import { WEIGHTS_LOCATION } from '../../src/lm/spanContext.ts';
import type { OperatorSet } from '../../src/lm/spanContext.ts';
import { compileSpan } from '../../src/lm/span.ts';
import { lmFixtures } from './fixture.ts';

const SITES: readonly Point[] = ['stream.1', 'mlp_out.1'];

for (const { name, folder, missing, plain } of lmFixtures()) {
  for (const operators of ['cpu', 'plain'] as const satisfies readonly OperatorSet[]) {
    test(`${name}, ${operators} operators: pieces behind a cache give what the whole gives, edits included`, { skip: folder === undefined ? missing : false }, async () => {
      const model = readLanguageModel(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')));
      const { layout, buffer } = await loadWeights(model, await openWeightFiles(folder!));
      const open = (bytes: Uint8Array) => InferenceSession.create(bytes, { externalData: [{ path: WEIGHTS_LOCATION, data: new Uint8Array(buffer) }] });
      const { cols } = plain.batch;
      const ids = plain.batch.ids.slice(0, cols);
      const { dModel, vocabSize } = model;
      const delta = Float32Array.from({ length: cols * dModel }, (_, i) => Math.sin(i) / 4);

      const whole = compileSpan(model, layout, { from: null, taps: [], sites: SITES, logits: 'all' }, operators);
      const wholeSession = await open(whole.bytes);
      const given: Record<string, Tensor> = {
        ids: new Tensor('int32', ids, [1, cols]),
        lastKey: new Tensor('int32', Int32Array.of(cols - 1), [1]),
        total: new Tensor('int32', Int32Array.of(cols), []),
      };
      for (const site of SITES) given[`delta:${site}`] = new Tensor('float32', delta, [1, cols, dModel]);
      const expected = (await wholeSession.run(Object.fromEntries(whole.inputs.map((input) => [input, given[input]]))))['logits'].data as Float32Array;

      const cached = compileCachedSpan(model, layout, SITES, operators);
      const session = await open(cached.bytes);
      const places = cols + 3;
      const dims = [1, cached.kvHeads, places, cached.headDim];
      const size = cached.kvHeads * places * cached.headDim;
      // What lies in places not yet filled must not matter.
      const memory = Array.from({ length: 2 * cached.layers }, () => new Float32Array(size).fill(1e3));
      for (const [start, end] of [[0, 5], [5, 6], [6, cols - 1], [cols - 1, cols]]) {
        const count = end - start;
        const feeds: Record<string, Tensor> = {
          ids: new Tensor('int32', ids.slice(start, end), [1, count]),
          positions: new Tensor('int64', BigInt64Array.from({ length: count }, (_, i) => BigInt(start + i)), [1, count]),
          lastKey: new Tensor('int32', Int32Array.of(end - 1), [1]),
          total: new Tensor('int32', Int32Array.of(end), []),
          rows: new Tensor('int64', BigInt64Array.from({ length: count }, (_, i) => BigInt(i)), [count]),
        };
        for (const site of SITES) feeds[`delta:${site}`] = new Tensor('float32', delta.slice(start * dModel, end * dModel), [1, count, dModel]);
        for (let layer = 0; layer < cached.layers; layer++) {
          feeds[`key.${layer}`] = new Tensor('float32', memory[2 * layer], dims);
          feeds[`value.${layer}`] = new Tensor('float32', memory[2 * layer + 1], dims);
        }
        const out = await session.run(Object.fromEntries(cached.inputs.map((input) => [input, feeds[input]])));
        const logits = out['logits'].data as Float32Array;
        assert.equal(logits.length, count * vocabSize);
        for (let i = 0; i < logits.length; i++) {
          const error = Math.abs(logits[i] - expected[start * vocabSize + i]);
          assert.ok(error < 2e-4, `token ${start + Math.floor(i / vocabSize)}: off by ${error}`);
        }
        for (let at = 0; at < memory.length; at++) {
          const fresh = out[`${at % 2 === 0 ? 'newKey' : 'newValue'}.${at >> 1}`].data as Float32Array;
          const part = count * cached.headDim;
          for (let head = 0; head < cached.kvHeads; head++) memory[at].set(fresh.subarray(head * part, (head + 1) * part), (head * places + start) * cached.headDim);
        }
      }
      await session.release();
      await wholeSession.release();
    });
  }
}

test('one graph has each weight once', async () => {
  const { folder } = lmFixtures().find(({ name }) => name === 'llama-gqa')!;
  const model = readLanguageModel(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')));
  const { layout, buffer } = await loadWeights(model, await openWeightFiles(folder!));
  const { weightBytes } = compileCachedSpan(model, layout, [], 'cpu');
  assert.ok(weightBytes <= buffer.byteLength && weightBytes > buffer.byteLength * 0.9);
  assert.throws(() => compileCachedSpan(model, layout, ['stream.99'], 'cpu'), /no such points/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEmbeddingModel } from '../../../src/adapters/openai/openaiEmbeddings.ts';
import { OutsideError } from '../../../src/domain/errors.ts';
import { withOpenaiServer } from '../../helpers/openaiServer.ts';

test('texts become vectors of unit length, in order, in batches', async () => {
  const seen: number[] = [];
  const embed = (text: string): number[] => [text.length, 1, 2];
  await withOpenaiServer({ embed: (text) => (seen.push(text.length), embed(text)), faults: { seed: 2, rate: 0.3, kinds: ['server-error', 'truncated-json', 'empty-choices', 'dropped-after'] } }, async (server) => {
    const model = openEmbeddingModel({ baseUrl: server.url, model: 'vectors', batch: 4, backoffMs: 2 });
    const texts = Array.from({ length: 41 }, (_, i) => 'x'.repeat(i + 1));
    const vectors = await model.embed(texts);
    vectors.forEach((vector, i) => {
      const norm = Math.hypot(i + 1, 1, 2);
      assert.deepEqual([...vector], [...Float32Array.from([(i + 1) / norm, 1 / norm, 2 / norm])]);
    });
    assert.equal(server.stats().paid.size, 11);
    assert.deepEqual(await model.embed([]), []);
  });
});

test('vectors that are none are never returned', async () => {
  for (const wrong of [[0, 0], [], [Number.NaN, 1]]) {
    await withOpenaiServer({ embed: () => wrong }, async (server) => {
      const model = openEmbeddingModel({ baseUrl: server.url, model: 'vectors', maxRetries: 1, backoffMs: 1 });
      await assert.rejects(model.embed(['a']), (error) => error instanceof OutsideError && /vector/.test(error.message));
    });
  }
});

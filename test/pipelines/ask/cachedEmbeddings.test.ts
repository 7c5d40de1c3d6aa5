import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplyCache } from '../../../src/adapters/files/replyCache.ts';
import { Budget } from '../../../src/pipelines/ask/budget.ts';
import { cachedEmbeddings } from '../../../src/pipelines/ask/cachedEmbeddings.ts';
import type { EmbeddingModel } from '../../../src/ports/EmbeddingModel.ts';
import { withFolder } from '../../helpers/withFolder.ts';

function counting(fail: () => boolean = () => false): EmbeddingModel & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    name: 'counting',
    identity: { name: 'counting' },
    asked,
    async embed(texts) {
      asked.push(...texts);
      await new Promise((resolve) => setImmediate(resolve));
      if (fail()) throw new Error('gone');
      return texts.map((text) => Float32Array.from([text.length, 1 / 3]));
    },
  };
}

test('no text is asked for twice: not in one call, not at once, not later; vectors come back bit by bit', async () => {
  await withFolder(async (folder) => {
    const inner = counting();
    const budget = await Budget.open({ tokens: null, usd: null, prices: null, ledger: null });
    const first = await openReplyCache(folder);
    const model = cachedEmbeddings(inner, first, budget);
    const texts = Array.from({ length: 150 }, (_, i) => 'x'.repeat(i % 100));
    const [a, b] = await Promise.all([model.embed(texts), model.embed(texts.slice(40))]);
    assert.equal(inner.asked.length, 100);
    assert.equal(budget.totals().requests, 2);
    assert.ok(budget.totals().promptTokens >= (99 * 100) / 2);
    await first.close();
    const second = await openReplyCache(folder);
    const again = await cachedEmbeddings(inner, second, budget).embed([...texts, 'new']);
    assert.equal(inner.asked.length, 101);
    texts.forEach((text, i) => {
      for (const vector of [a[i], again[i], ...(i >= 40 ? [b[i - 40]] : [])]) assert.deepEqual([...vector], [text.length, Math.fround(1 / 3)]);
    });
    assert.deepEqual([...again[150]], [3, Math.fround(1 / 3)]);
    await second.close();
  });
});

test('a failure is told to all who wait and not kept', async () => {
  await withFolder(async (folder) => {
    let failing = true;
    const inner = counting(() => failing);
    const cache = await openReplyCache(folder);
    const model = cachedEmbeddings(inner, cache);
    const outcomes = await Promise.allSettled([model.embed(['a', 'b']), model.embed(['b'])]);
    assert.deepEqual(outcomes.map(({ status }) => status), ['rejected', 'rejected']); // prettier-ignore
    failing = false;
    assert.equal((await model.embed(['b', 'a'])).length, 2);
    await cache.close();
  });
});

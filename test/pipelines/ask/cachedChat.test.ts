import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutsideError } from '../../../src/domain/errors.ts';
import { Budget } from '../../../src/pipelines/ask/budget.ts';
import { cachedChat } from '../../../src/pipelines/ask/cachedChat.ts';
import type { ChatRequest } from '../../../src/ports/ChatModel.ts';
import { REQUEST, countingChat, memoryCache } from './fakeChat.ts';

test('an answer is asked for once, also by the next process, and costs nothing the second time', async () => {
  const cache = memoryCache();
  const chat = countingChat(() => 'yes');
  const first = await cachedChat(chat, cache).chat(REQUEST);
  const again = await cachedChat(chat, cache).chat({ ...REQUEST, schema: undefined });
  assert.equal(chat.asked.length, 1);
  assert.deepEqual(first.usage, { promptTokens: 5, completionTokens: 2, estimated: false });
  assert.deepEqual(again, { ...first, usage: { promptTokens: 0, completionTokens: 0, estimated: false } });
});

test('whatever an answer depends on makes another request', async () => {
  const cache = memoryCache();
  const chat = countingChat(() => 'yes');
  const asked = cachedChat(chat, cache);
  const others: ChatRequest[] = [
    REQUEST, { ...REQUEST, attempt: 1 }, { ...REQUEST, seed: 2 }, { ...REQUEST, temperature: 0.5 }, { ...REQUEST, maxTokens: 11 }, { ...REQUEST, topLogprobs: 3 },
    { ...REQUEST, schema: { name: 'a', schema: {} } }, { ...REQUEST, messages: [{ role: 'system', content: 'hello' }] },
  ]; // prettier-ignore
  for (const request of others) await asked.chat(request);
  await asked.readPrompt({ messages: REQUEST.messages, continuation: 'a', topLogprobs: 3 });
  await asked.readPrompt({ messages: REQUEST.messages, continuation: 'a', topLogprobs: 3 });
  assert.equal(chat.asked.length, others.length + 1);
  const another = countingChat(() => 'no', 'another');
  assert.equal((await cachedChat(another, cache).chat(REQUEST)).text, 'no');
});

test('equal requests under way at once share one answer; one pays', async () => {
  const go = Promise.withResolvers<string>();
  const chat = countingChat(() => go.promise);
  const budget = await Budget.open({ tokens: null, usd: null, prices: null, ledger: null });
  const asked = cachedChat(chat, memoryCache(), budget);
  const replies = Promise.all([1, 2, 3].map(() => asked.chat(REQUEST)));
  go.resolve('shared');
  assert.deepEqual((await replies).map(({ text, usage }) => [text, usage.promptTokens]), [['shared', 5], ['shared', 0], ['shared', 0]]); // prettier-ignore
  assert.equal(chat.asked.length, 1);
  assert.deepEqual(budget.totals(), { promptTokens: 5, completionTokens: 2, requests: 1, lost: 0, hits: 2, usd: null, estimatedShare: 0 });
});

test('a failure is told to all who wait, is not kept, and gives its reservation back', async () => {
  let fail = true;
  const chat = countingChat(() => {
    if (fail) throw new OutsideError('openai', 'gone');
    return 'back';
  });
  const budget = await Budget.open({ tokens: 200, usd: null, prices: null, ledger: null });
  const asked = cachedChat(chat, memoryCache(), budget);
  const outcomes = await Promise.allSettled([asked.chat(REQUEST), asked.chat(REQUEST)]);
  assert.deepEqual(outcomes.map(({ status }) => status), ['rejected', 'rejected']); // prettier-ignore
  fail = false;
  assert.equal((await asked.chat(REQUEST)).text, 'back');
  assert.equal(chat.asked.length, 2);
  assert.equal(budget.totals().promptTokens, 5);
});

test('an answer that could not be kept was paid all the same', async () => {
  const cache = { ...memoryCache(), put: () => Promise.reject(new OutsideError('disk', 'full')) };
  const budget = await Budget.open({ tokens: null, usd: null, prices: null, ledger: null });
  await assert.rejects(cachedChat(countingChat(() => 'yes'), cache, budget).chat(REQUEST), /full/);
  assert.equal(budget.totals().requests, 1);
});

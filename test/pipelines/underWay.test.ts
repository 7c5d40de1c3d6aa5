import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnderWay } from '../../src/pipelines/underWay.ts';
import type { ChatModel, ChatReply } from '../../src/ports/ChatModel.ts';

test('settled waits for every request, those that fail and those that begin meanwhile', async () => {
  const underWay = new UnderWay();
  const answers: { resolve(reply: ChatReply): void; reject(error: Error): void }[] = [];
  const chat: ChatModel = {
    name: 'm', identity: {}, abilities: { promptLogprobs: false, replyLogprobs: false },
    chat: () => new Promise((resolve, reject) => answers.push({ resolve, reject })),
    readPrompt: () => Promise.reject(new Error('cannot')),
    close: () => Promise.resolve(),
  };
  const tracked = underWay.chat(chat);
  const request = { messages: [], maxTokens: 1, temperature: 0, seed: 0, attempt: 0 };
  const reply: ChatReply = { text: 'a', finish: 'stop', tokens: null, usage: { promptTokens: 1, completionTokens: 1, estimated: false } };
  const [first, second] = [tracked.chat(request), tracked.chat(request)];
  let settled = false;
  const waiting = underWay.settled().then(() => (settled = true));
  answers[0].reject(new Error('down'));
  await assert.rejects(first, /down/);
  assert.equal(settled, false);
  const third = tracked.chat(request);
  answers[1].resolve(reply);
  assert.equal(await second, reply);
  await new Promise(setImmediate);
  assert.equal(settled, false, 'the third began before the second ended');
  answers[2].resolve(reply);
  await third;
  await waiting;
  await underWay.settled();
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askUntilParsed, ATTEMPTS } from '../../../src/pipelines/ask/askUntilParsed.ts';
import type { BadReply } from '../../../src/ports/BadReplyLog.ts';
import type { ChatReply } from '../../../src/ports/ChatModel.ts';
import { countingChat, REQUEST } from './fakeChat.ts';

function asking(answer: (n: number) => string) {
  let n = 0;
  const bad: BadReply[] = [];
  const chat = countingChat(() => answer(n++));
  return { bad, chat, asking: { chat, badReplies: { record: async (reply: BadReply) => void bad.push(reply) }, feature: 7, promptVersion: 'test-v1' } };
}

const number = ({ text }: ChatReply): { value: number } | { bad: string } => (/^\d+$/.test(text) ? { value: Number(text) } : { bad: 'no number' });

test('a reply that makes sense is the value, and nothing is recorded', async () => {
  const { asking: how, chat, bad } = asking(() => '42');
  assert.deepEqual(await askUntilParsed(how, REQUEST, number), { value: 42 });
  assert.deepEqual([chat.asked.length, bad.length], [1, 0]);
  assert.deepEqual(chat.asked[0], { ...REQUEST, attempt: 0 });
});

test('a useless reply is recorded and asked again as another request, hotter and with another seed', async () => {
  const { asking: how, chat, bad } = asking((n) => (n === 0 ? `nonsense ${'x'.repeat(3000)}` : '5'));
  assert.deepEqual(await askUntilParsed(how, REQUEST, number), { value: 5 });
  assert.deepEqual(chat.asked.map(({ attempt, seed }) => [attempt, seed]), [[0, 1], [1, 2]]); // prettier-ignore
  assert.ok(chat.asked[1].temperature > chat.asked[0].temperature);
  assert.equal(bad.length, 1);
  assert.deepEqual({ ...bad[0], reply: bad[0].reply.length }, { feature: 7, promptVersion: 'test-v1', model: 'counting', attempt: 0, reason: 'no number', reply: 2000 });
});

test('nonsense to the end is a failure with its reason, every reply recorded, never a value', async () => {
  const { asking: how, chat, bad } = asking(() => 'nonsense');
  assert.deepEqual(await askUntilParsed(how, REQUEST, number), { bad: 'no number' });
  assert.deepEqual([chat.asked.length, bad.length], [ATTEMPTS, ATTEMPTS]);
});

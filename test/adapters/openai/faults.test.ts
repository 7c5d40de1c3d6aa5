import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChatModel } from '../../../src/adapters/openai/openaiChat.ts';
import type { OpenaiChatOptions } from '../../../src/adapters/openai/openaiChat.ts';
import { OutsideError } from '../../../src/domain/errors.ts';
import type { ChatModel, ChatReply, Usage } from '../../../src/ports/ChatModel.ts';
import { FAULT_KINDS, isBeforeWork, losesWork, type FaultKind } from '../../helpers/openaiFaults.ts';
import { withOpenaiServer, type OpenaiServer, type ServedRequest } from '../../helpers/openaiServer.ts';

const BOTH = { promptLogprobs: true, replyLogprobs: true };

/** Answers with the sum of the two numbers in the prompt: a reply that belongs to another request is seen. */
function sum({ prompt }: ServedRequest): string {
  const [a, b] = (prompt.match(/\d+/g) ?? []).map(Number);
  return `The sum is ${a + b}`;
}

function ask(chat: ChatModel, i: number): Promise<ChatReply> {
  return chat.chat({ messages: [{ role: 'user', content: `Add ${i} and ${2 * i + 1}` }], maxTokens: 20, temperature: 0, seed: 7, attempt: 0 });
}

async function open(server: OpenaiServer, options: Partial<OpenaiChatOptions> = {}): Promise<ChatModel> {
  return await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH, backoffMs: 2, timeoutMs: 5000, ...options });
}

/** Kinds that a client cannot tell from work that was done and lost. */
function looksLost(kind: FaultKind): boolean {
  return losesWork(kind) || kind === 'no-answer' || kind === 'dropped-before';
}

for (const kind of FAULT_KINDS) {
  test(`a server that goes wrong by ${kind} is asked until it answers`, async () => {
    const faults = { seed: 3, rate: 0.5, kinds: [kind], inARow: 2, retryAfterSeconds: 1 };
    await withOpenaiServer({ reply: sum, faults }, async (server) => {
      const lost: Usage[] = [];
      // The only fault that costs a test its timeout.
      const waits = kind === 'no-answer' || kind === 'stalled-body';
      const chat = await open(server, { concurrency: 12, timeoutMs: waits ? 400 : 10_000, onLost: async (usage, again) => void (again && lost.push(usage)) });
      const replies = await Promise.all(Array.from({ length: 12 }, (_, i) => ask(chat, i)));
      assert.deepEqual(replies.map(({ text }) => text), replies.map((_, i) => `The sum is ${3 * i + 1}`)); // prettier-ignore
      await chat.close();
      const stats = server.stats();
      const happened = stats.faults.get(kind) ?? 0;
      assert.ok(happened > 0, 'the fault must happen');
      if (!waits) assert.ok([...stats.paid.values()].every((times) => times === 1), 'nothing that was delivered is asked again');
      assert.equal(stats.paid.size, 12);
      if (losesWork(kind)) assert.equal([...stats.lost.values()].reduce((a, b) => a + b, 0), happened);
      else if (!waits) assert.equal(stats.lost.size, 0);
      if (!waits) assert.equal(lost.length, looksLost(kind) ? happened : 0);
      assert.ok(lost.every(({ estimated, promptTokens }) => estimated && promptTokens > 0));
      if (kind === 'missing-usage') {
        const estimated = replies.filter(({ usage }) => usage.estimated);
        assert.equal(estimated.length, happened);
        for (const { usage } of estimated) assert.ok(usage.promptTokens >= 9 && usage.completionTokens >= 4, 'upper bounds');
      }
      if (isBeforeWork(kind) && kind.startsWith('rate-limit')) assert.ok(stats.log.some(({ fault }) => fault === kind));
    });
  });
}

test('500 requests, 16 at once, 30 % of answers gone wrong in every way: all right, none lost, none delivered twice', async () => {
  const quick = FAULT_KINDS.filter((kind) => !['no-answer', 'stalled-body', 'rate-limit-date'].includes(kind));
  const kinds: FaultKind[] = [...quick, ...quick, ...quick, ...quick, 'no-answer', 'stalled-body', 'rate-limit-date'];
  await withOpenaiServer({ reply: sum, faults: { seed: 11, rate: 0.3, kinds, inARow: 5, retryAfterSeconds: 0 } }, async (server) => {
    let lost = 0;
    const chat = await open(server, { concurrency: 16, onLost: async () => void lost++ });
    const replies = await Promise.all(Array.from({ length: 500 }, (_, i) => ask(chat, i)));
    await chat.close();
    replies.forEach(({ text, finish }, i) => assert.deepEqual([text, finish], [`The sum is ${3 * i + 1}`, 'stop']));
    const stats = server.stats();
    assert.equal(stats.paid.size, 500);
    assert.ok([...stats.paid.values()].every((times) => times === 1), 'one delivery per Idempotency-Key');
    const happened = (chosen: (kind: FaultKind) => boolean): number => [...stats.faults].reduce((all, [kind, times]) => all + (chosen(kind) ? times : 0), 0);
    assert.equal([...stats.lost.values()].reduce((a, b) => a + b, 0), happened(losesWork), 'work is lost only where the client could not know');
    assert.equal(lost, happened(looksLost), 'and every sending that may have been charged for is told');
    assert.ok(stats.faults.size === FAULT_KINDS.length, `every kind happened: ${[...stats.faults.keys()].join(', ')}`);
    assert.ok(stats.peak <= 16);
  });
});

test('Retry-After holds back every request of the client, not only the one that was refused', async () => {
  await withOpenaiServer({ reply: sum, faults: { seed: 1, rate: 1, kinds: ['rate-limit-seconds'], inARow: 1, retryAfterSeconds: 1 } }, async (server) => {
    const told = Promise.withResolvers<string>();
    const chat = await open(server, { say: told.resolve });
    const first = ask(chat, 0);
    assert.match(await told.promise, /wait 1 s/);
    const others = [1, 2, 3].map((i) => ask(chat, i));
    await Promise.all([first, ...others]);
    const { log } = server.stats();
    for (const { at } of log.slice(1)) assert.ok(at - log[0].at >= 1000, `a request came ${at - log[0].at} ms after the refusal`);
    await chat.close();
  });
});

test('a server that asks to wait longer than the limit is not asked again', async () => {
  await withOpenaiServer({ faults: { seed: 1, rate: 1, kinds: ['rate-limit-seconds'], retryAfterSeconds: 3600 } }, async (server) => {
    const chat = await open(server);
    await assert.rejects(ask(chat, 1), (error) => error instanceof OutsideError && error.system === 'openai' && /wait 3600 s/.test(error.message) && error.cause !== undefined);
    assert.equal(server.stats().arrived, 1);
  });
});

test('when every repetition fails the failure says so and keeps its cause', async () => {
  await withOpenaiServer({ faults: { seed: 1, rate: 1, kinds: ['server-error'], inARow: 100 } }, async (server) => {
    const chat = await open(server, { maxRetries: 3 });
    await assert.rejects(ask(chat, 1), (error) => error instanceof OutsideError && /no answer after 4 tries/.test(error.message) && error.cause instanceof Error);
    assert.equal(server.stats().arrived, 4);
  });
});

test('nothing listens: given up soon, asking whether the address is right', async () => {
  const server = await withOpenaiServer({}, async (closing) => closing);
  const lost: Usage[] = [];
  const chat = await open(server, { maxRetries: 50, onLost: async (usage) => void lost.push(usage) });
  await assert.rejects(ask(chat, 1), (error) => error instanceof OutsideError && /after 3 tries.*ECONNREFUSED.*OPENAI_BASE_URL/.test(error.message));
  assert.equal(lost.length, 0);
});

test('close ends what is under way and what waits', async () => {
  await withOpenaiServer({ faults: { seed: 1, rate: 1, kinds: ['no-answer'] } }, async (server) => {
    const chat = await open(server, { concurrency: 2, timeoutMs: 60_000 });
    const asked = [1, 2, 3].map((i) => assert.rejects(ask(chat, i), (error) => error instanceof OutsideError && /closed/.test(error.message)));
    while (server.stats().open < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await chat.close();
    await Promise.all(asked);
    assert.equal(server.stats().arrived, 2);
  });
});

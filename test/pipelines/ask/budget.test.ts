import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../../src/adapters/files/artefacts.ts';
import { openReplyCache } from '../../../src/adapters/files/replyCache.ts';
import { openChatModel } from '../../../src/adapters/openai/openaiChat.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import { Budget, type BudgetOptions } from '../../../src/pipelines/ask/budget.ts';
import { cachedChat } from '../../../src/pipelines/ask/cachedChat.ts';
import { estimateCost } from '../../../src/pipelines/ask/estimateCost.ts';
import { withOpenaiServer } from '../../helpers/openaiServer.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const NONE: BudgetOptions = { tokens: null, usd: null, prices: null, ledger: null };
const bound = (promptTokens: number, completionTokens = 0) => ({ promptTokens, completionTokens });
const used = (promptTokens: number, completionTokens = 0, estimated = false) => ({ promptTokens, completionTokens, estimated });
const reached = (error: unknown): boolean => error instanceof CallerError && error.code === 'BUDGET_REACHED';

test('a request whose bound does not fit is refused before it is sent, saying what was spent and what it would cost', async () => {
  const budget = await Budget.open({ ...NONE, tokens: 1000, prices: { promptPerMillion: 2, completionPerMillion: 10 } });
  await (await budget.reserve(bound(500, 100))).settle(used(450, 80));
  await (await budget.reserve(bound(400, 70))).release();
  await assert.rejects(budget.reserve(bound(400, 71)), (error: Error) => {
    assert.ok(reached(error));
    assert.equal(error.message, 'the budget of 1,000 tokens is reached: 530 tokens ($0.0017) are spent, the next request may need up to 471 tokens ($0.0015). Raise the budget and run again: answers paid for are kept and not asked for twice');
    return true;
  });
  assert.deepEqual(budget.totals(), { promptTokens: 450, completionTokens: 80, requests: 1, lost: 0, hits: 0, usd: 0.0017, estimatedShare: 0 });
});

test('a limit of money counts prompt and reply at their prices', async () => {
  const budget = await Budget.open({ ...NONE, usd: 1, prices: { promptPerMillion: 1, completionPerMillion: 100 } });
  await (await budget.reserve(bound(900_000))).settle(used(500_000, 0, true));
  await assert.rejects(budget.reserve(bound(0, 5001)), reached);
  await (await budget.reserve(bound(0, 5000))).settle(used(0, 5000));
  assert.deepEqual([budget.totals().usd, budget.totals().estimatedShare], [1, 500_000 / 505_000]);
});

test('what fits only once others are settled waits for them, in order', async () => {
  const budget = await Budget.open({ ...NONE, tokens: 100 });
  const [a, b] = [await budget.reserve(bound(50)), await budget.reserve(bound(50))];
  const order: string[] = [];
  const large = budget.reserve(bound(60)).then((reservation) => (order.push('large'), reservation));
  const small = budget.reserve(bound(10)).then((reservation) => (order.push('small'), reservation));
  await a.settle(used(20));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, [], '20 spent, 50 under way: 60 do not fit yet, and 10 do not overtake');
  await b.settle(used(5));
  await (await large).settle(used(60));
  await (await small).settle(used(10));
  assert.deepEqual(order, ['large', 'small']);
  const last = await budget.reserve(bound(5));
  const hopeless = budget.reserve(bound(6));
  await assert.rejects(hopeless, reached); // even if `last` turned out free
  await last.release();
});

test('no more reservations are open at once than asked for', async () => {
  const budget = await Budget.open(NONE);
  const first = [await budget.reserve(bound(1), 2), await budget.reserve(bound(1), 2)];
  let third = false;
  const waiting = budget.reserve(bound(1), 2).then((reservation) => ((third = true), reservation));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(third, false);
  await first[0].release();
  await (await waiting).settle(used(1));
  await first[1].settle(used(1));
  assert.equal(budget.totals().promptTokens, 2);
});

test('who waits is refused when what is under way turns out too dear', async () => {
  const budget = await Budget.open({ ...NONE, tokens: 100 });
  const first = await budget.reserve(bound(90));
  const waiting = budget.reserve(bound(30));
  await first.settle(used(80));
  await assert.rejects(waiting, reached);
});

test('a lost sending counts besides the reservation, and is not repeated past the limit', async () => {
  const budget = await Budget.open({ ...NONE, tokens: 100 });
  const reservation = await budget.reserve(bound(45));
  await budget.lost(bound(45), true);
  await assert.rejects(budget.lost(bound(45), true), reached);
  await reservation.release();
  const { promptTokens, lost, estimatedShare } = budget.totals();
  assert.deepEqual([promptTokens, lost, estimatedShare], [90, 2, 1]);
});

test('limits that make no sense are refused', async () => {
  for (const wrong of [{ tokens: 0 }, { tokens: Number.NaN }, { usd: -1, prices: { promptPerMillion: 1, completionPerMillion: 1 } }, { usd: 5 }, { prices: { promptPerMillion: -1, completionPerMillion: 0 } }]) {
    await assert.rejects(Budget.open({ ...NONE, ...wrong }), (error) => error instanceof CallerError && error.code === 'BAD_INPUT', JSON.stringify(wrong));
  }
});

test('spending survives: a later process goes on from it, and counts what was under way at a kill in full', async () => {
  await withFolder(async (folder) => {
    const options: BudgetOptions = { ...NONE, tokens: 1000, ledger: { artefacts: fileArtefacts(), path: join(folder, 'budget.jsonl') } };
    const first = await Budget.open(options);
    const many = await Promise.all(Array.from({ length: 20 }, () => first.reserve(bound(10, 5))));
    await Promise.all(many.slice(0, 12).map((reservation, i) => reservation.settle(used(i, 1, i === 0))));
    await Promise.all(many.slice(12, 15).map((reservation) => reservation.release()));
    await first.lost(bound(7), false);
    // Five reservations are open: the process dies here, in the middle of a line.
    await appendFile(join(folder, 'budget.jsonl'), '{"kind":"settle","id":19,"prom');
    const second = await Budget.open(options);
    assert.deepEqual(second.totals(), { promptTokens: 66 + 7 + 50, completionTokens: 12 + 25, requests: 12, lost: 6, hits: 0, usd: null, estimatedShare: (1 + 7 + 75) / 160 });
    await (await second.reserve(bound(840))).settle(used(840));
    const third = await Budget.open(options);
    assert.equal(third.totals().promptTokens, 66 + 7 + 50 + 840);
    await assert.rejects(third.reserve(bound(1)), reached);
  });
});

test('the server’s own count never passes the budget, whatever goes wrong', async () => {
  for (const seed of [1, 2, 3]) {
    await withFolder(async (folder) => {
      const faults = { seed, rate: 0.3, kinds: ['truncated-json', 'dropped-after', 'server-error', 'cut-body', 'missing-usage'] as const };
      await withOpenaiServer({ reply: () => 'one two three four five six seven eight nine ten eleven twelve', faults }, async (server) => {
        const limit = 6000;
        const budget = await Budget.open({ ...NONE, tokens: limit });
        const cache = await openReplyCache(folder);
        const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: { promptLogprobs: false, replyLogprobs: false }, concurrency: 16, backoffMs: 1, onLost: (usage, again) => budget.lost(usage, again) });
        const asked = cachedChat(chat, cache, budget);
        const outcomes = await Promise.allSettled(
          Array.from({ length: 400 }, (_, i) => asked.chat({ messages: [{ role: 'user', content: `question ${i}, and some more words` }], maxTokens: 10, temperature: 0, seed: 0, attempt: 0 })),
        );
        await asked.close();
        await cache.close();
        for (const outcome of outcomes) if (outcome.status === 'rejected') assert.ok(reached(outcome.reason), String(outcome.reason));
        const answered = outcomes.filter(({ status }) => status === 'fulfilled').length;
        assert.ok(answered > 20 && answered < 400, `${answered} answered: the budget must end in the middle`);
        const { tokens } = server.stats();
        const spent = tokens.paid.prompt + tokens.paid.completion + tokens.lost.prompt + tokens.lost.completion;
        const { promptTokens, completionTokens } = budget.totals();
        assert.ok(spent <= promptTokens + completionTokens, `the server counts ${spent}, the budget ${promptTokens + completionTokens}`);
        assert.ok(promptTokens + completionTokens <= limit);
        assert.ok(promptTokens + completionTokens > limit * 0.8, 'the budget is used');
      });
    });
  }
});

test('a cost is estimated as expected and at worst', () => {
  const sizes = [{ promptBytes: 4001, maxTokens: 100, expectedTokens: 60 }, { promptBytes: 400, maxTokens: 50, expectedTokens: 80 }]; // prettier-ignore
  assert.deepEqual(estimateCost(sizes, { promptPerMillion: 1, completionPerMillion: 10 }), {
    requests: 2,
    expected: { promptTokens: 1101, completionTokens: 110, usd: 0.002201 },
    worst: { promptTokens: 4401, completionTokens: 150, usd: 0.005901 },
  });
  assert.deepEqual(estimateCost([], null, 2), { requests: 0, expected: { ...bound(0), usd: null }, worst: { ...bound(0), usd: null } });
});

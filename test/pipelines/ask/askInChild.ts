import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileArtefacts } from '../../../src/adapters/files/artefacts.ts';
import { openReplyCache } from '../../../src/adapters/files/replyCache.ts';
import { openChatModel } from '../../../src/adapters/openai/openaiChat.ts';
import { Budget } from '../../../src/pipelines/ask/budget.ts';
import { cachedChat } from '../../../src/pipelines/ask/cachedChat.ts';

/**
 * Asks the server at OPENAI_BASE_URL requests 0 … COUNT − 1 through cache and budget in FOLDER, eight at once; says `number reply` of
 * each that was answered, and what the budget counts at the end.
 */
const [folder, count] = process.argv.slice(2);
const budget = await Budget.open({ tokens: 1_000_000, usd: null, prices: null, ledger: { artefacts: fileArtefacts(), path: join(folder!, 'budget.jsonl') } });
const cache = await openReplyCache(join(folder!, 'replies'));
const chat = await openChatModel({ baseUrl: process.env.OPENAI_BASE_URL!, model: 'rules', cache, concurrency: 8, backoffMs: 2, onLost: (usage, again) => budget.lost(usage, again) });
const asked = cachedChat(chat, cache, budget);
await Promise.all(
  Array.from({ length: Number(count) }, async (_, i) => {
    const { text } = await asked.chat({ messages: [{ role: 'user', content: `question ${i}` }], maxTokens: 10, temperature: 0, seed: 0, attempt: 0 });
    writeSync(1, `${i} ${text}\n`);
  }),
);
await asked.close();
await cache.close();
writeSync(1, `totals ${JSON.stringify(budget.totals())}\n`);

import { promptBound } from '../../interp/requestBound.ts';
import type { ChatModel, ChatRequest, PromptRequest, Usage } from '../../ports/ChatModel.ts';
import type { ReplyCache } from '../../ports/ReplyCache.ts';
import type { Budget } from './budget.ts';
import type { TokenCount } from './estimateCost.ts';
import { requestKey } from './requestKey.ts';

const FREE: Usage = { promptTokens: 0, completionTokens: 0, estimated: false };

/**
 * A chat model that asks nothing twice: answers come from the cache where they were paid for before (by the model's identity, the
 * kind of request and the request), equal requests under way at once share one. An answer that was not paid for has a usage of zero.
 * Only what is sent touches the budget, before it is sent. Failures are not kept. The cache stays the caller's to close.
 */
export function cachedChat(chat: ChatModel, cache: ReplyCache, budget?: Budget): ChatModel {
  // Twice what is sent at once keeps the model busy while answers are written down.
  const atOnce = chat.concurrency === undefined ? Infinity : 2 * chat.concurrency;
  const underWay = new Map<string, Promise<{ readonly usage: Usage }>>();

  const answer = async <R extends { readonly usage: Usage }>(key: string, bound: TokenCount, ask: () => Promise<R>): Promise<R> => {
    const kept = (await cache.get(key)) as R | null;
    if (kept !== null) {
      budget?.hit();
      return { ...kept, usage: FREE };
    }
    const reservation = await budget?.reserve(bound, atOnce);
    let reply: R;
    try {
      reply = await ask();
    } catch (error) {
      await reservation?.release(); // what may have been paid all the same was counted as lost
      throw error;
    }
    try {
      await cache.put(key, reply);
    } finally {
      await reservation?.settle(reply.usage);
    }
    return reply;
  };
  const once = async <R extends { readonly usage: Usage }>(kind: string, request: unknown, bound: () => TokenCount, ask: () => Promise<R>): Promise<R> => {
    const key = requestKey([chat.identity, kind, request]);
    const running = underWay.get(key) as Promise<R> | undefined;
    if (running !== undefined) {
      const shared = await running;
      budget?.hit();
      return { ...shared, usage: FREE };
    }
    const started = answer(key, bound(), ask);
    underWay.set(key, started);
    try {
      return await started;
    } finally {
      underWay.delete(key);
    }
  };
  return {
    name: chat.name,
    identity: chat.identity,
    abilities: chat.abilities,
    ...(chat.concurrency === undefined ? {} : { concurrency: chat.concurrency }),
    chat: (request) => once('chat', request, () => boundOfChat(request), () => chat.chat(request)),
    readPrompt: (request) => once('prompt', request, () => boundOfPrompt(request), () => chat.readPrompt(request)),
    close: () => chat.close(),
  };
}

/** Upper bound of what a request costs. */
function boundOfChat({ messages, maxTokens, schema }: ChatRequest): TokenCount {
  const promptTokens = promptBound(messages.map(({ content }) => content), schema === undefined ? '' : JSON.stringify(schema)); // prettier-ignore
  return { promptTokens, completionTokens: maxTokens };
}

/** Servers that cannot read without speaking say one token. */
function boundOfPrompt({ messages, continuation }: PromptRequest): TokenCount {
  return { promptTokens: promptBound([...messages.map(({ content }) => content), continuation]), completionTokens: 1 };
}

import type { ChatModel, ChatReply, ChatRequest } from '../../../src/ports/ChatModel.ts';
import type { ReplyCache } from '../../../src/ports/ReplyCache.ts';

/** A chat model that counts how often it is asked and answers by a rule, when it is let. */
export function countingChat(answer: (request: ChatRequest) => string | Promise<string>, name = 'counting'): ChatModel & { readonly asked: ChatRequest[] } {
  const asked: ChatRequest[] = [];
  return {
    name,
    identity: { name },
    abilities: { promptLogprobs: true, replyLogprobs: false },
    asked,
    async chat(request) {
      asked.push(request);
      const text = await answer(request);
      return { text, finish: 'stop', tokens: null, usage: { promptTokens: 5, completionTokens: 2, estimated: false } } satisfies ChatReply;
    },
    async readPrompt({ continuation }) {
      asked.push({ ...REQUEST, messages: [{ role: 'assistant', content: continuation }] });
      return { tokens: [{ text: continuation, logprob: -1, offset: 0, top: [] }], usage: { promptTokens: 5, completionTokens: 0, estimated: false } };
    },
    async close() {},
  };
}

export const REQUEST: ChatRequest = { messages: [{ role: 'user', content: 'hello' }], maxTokens: 10, temperature: 0, seed: 1, attempt: 0 };

/** A cache that forgets when the process ends. */
export function memoryCache(): ReplyCache & { readonly entries: Map<string, string> } {
  const entries = new Map<string, string>();
  return {
    entries,
    async get(key) {
      const text = entries.get(key);
      return text === undefined ? null : (JSON.parse(text) as unknown);
    },
    async put(key, answer) {
      entries.set(key, JSON.stringify(answer));
    },
    async close() {},
  };
}

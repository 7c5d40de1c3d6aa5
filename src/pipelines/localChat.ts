import type { ChatTemplate } from '../ports/ChatTemplate.ts';
import type { ChatMessage, ChatModel, ReadToken } from '../ports/ChatModel.ts';
import type { Generator, ScoredToken } from '../ports/Generator.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { tokenOffsets } from './tokenOffsets.ts';

export interface LocalChatParts {
  readonly generator: Generator;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly name: string;
}

/** Tokens before a continuation that are decoded with it. */
const CONTEXT = 8;

/**
 * Conversations with a model on this host. Replies are not held to a JSON schema: who asks for one gets what the model makes of
 * the words that ask. Usage is exact; a token that ended the reply counts. Closing it closes the generator.
 */
export function localChat({ generator, tokenizer, template, name }: LocalChatParts): ChatModel {
  const encode = (messages: readonly ChatMessage[], continuation?: string): Int32Array => {
    const parts = template.pieces(messages, continuation).map((piece) => tokenizer.encode(piece));
    return parts.length === 1 ? parts[0] : Int32Array.from(parts.flatMap((part) => [...part]));
  };
  const shown = (tokens: readonly ScoredToken[], text: string, offsets: readonly number[]): ReadToken[] =>
    tokens.map(({ id, logprob, top }, i) => ({
      // Parts of one character share its place; only the last of them would spell it.
      text: text.slice(offsets[i], offsets[i + 1]) || tokenizer.token(id),
      logprob,
      offset: offsets[i],
      top: top.map((other) => ({ text: tokenizer.token(other.id), logprob: other.logprob })),
    }));

  return {
    name,
    identity: { kind: 'local', weights: generator.info.weightsHash, tokenizer: tokenizer.hash, template: template.hash, contextLength: generator.info.contextLength },
    abilities: { promptLogprobs: true, replyLogprobs: true },

    /** Throws TEXT_TOO_LONG where the conversation alone exceeds the context. */
    async chat({ messages, maxTokens, temperature, seed, topLogprobs }) {
      const ids = encode(messages);
      const { tokens, finish } = await generator.generate({ ids, maxTokens, temperature, topP: 1, seed, stopIds: template.stopIds, topLogprobs: topLogprobs ?? 0 });
      const written = Int32Array.from(tokens, ({ id }) => id);
      const { text, offsets } = tokenOffsets(tokenizer, written);
      const completionTokens = tokens.length + (finish === 'stop' ? 1 : 0);
      return {
        text,
        finish,
        tokens: topLogprobs === undefined ? null : shown(tokens, text, offsets),
        usage: { promptTokens: ids.length, completionTokens, estimated: false },
      };
    },

    /**
     * Prompt and continuation are encoded as one text, as a tokenizer would see them. A token that begins before the
     * continuation and reaches into it is not reported. Throws TEXT_TOO_LONG.
     */
    async readPrompt({ messages, continuation, topLogprobs }) {
      const ids = encode(messages, continuation);
      const alone = encode(messages);
      let common = 0;
      while (common < alone.length && alone[common] === ids[common]) common++;
      const first = Math.max(0, common - CONTEXT);
      const tail = tokenOffsets(tokenizer, ids.subarray(first));
      const start = tail.text.length - continuation.length;
      const inside = tail.offsets.findIndex((offset) => offset >= start);
      const usage = { promptTokens: ids.length, completionTokens: 0, estimated: false };
      if (continuation === '' || inside < 0) return { tokens: [], usage };
      // Before the first token of all nothing stands to expect it from.
      const from = Math.max(1, first + inside);
      const tokens = await generator.score(ids, from, topLogprobs);
      const offsets = tail.offsets.slice(from - first).map((offset) => offset - start);
      return { tokens: shown(tokens, continuation, offsets), usage };
    },

    close: () => generator.close(),
  };
}

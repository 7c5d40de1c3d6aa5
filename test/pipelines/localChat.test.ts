import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { openGenerator } from '../../src/adapters/ort/openGenerator.ts';
import { openChatTemplate } from '../../src/adapters/tokenizers/chatTemplate.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { localChat } from '../../src/pipelines/localChat.ts';
import { tokenOffsets } from '../../src/pipelines/tokenOffsets.ts';
import type { ChatMessage, ChatModel, ChatRequest } from '../../src/ports/ChatModel.ts';
import type { Generator } from '../../src/ports/Generator.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';

/** A story model is no instruct model, but a chat with it is one like any other. */
const FOLDER = fileURLToPath(new URL('../../../shared/models/stories260k', import.meta.url));
const SKIP = { skip: existsSync(FOLDER) ? false : 'no ../shared here' };
const MESSAGES: readonly ChatMessage[] = [{ role: 'user', content: 'Once upon a time, there was a little girl named Lily.' }];
const requestOf = (rest: Partial<ChatRequest> = {}): ChatRequest => ({ messages: MESSAGES, maxTokens: 20, temperature: 0, seed: 1, attempt: 0, ...rest });

async function withChat(use: (parts: { chat: ChatModel; generator: Generator; tokenizer: Tokenizer }) => Promise<void>): Promise<void> {
  const [generator, tokenizer, template] = await Promise.all([
    openGenerator(FOLDER, { device: 'cpu', threadsPerWorker: 1 }),
    openTokenizer(FOLDER),
    openChatTemplate(FOLDER, { without: 'plain' }),
  ]);
  const chat = localChat({ generator, tokenizer, template, name: 'stories' });
  try {
    await use({ chat, generator, tokenizer });
  } finally {
    await chat.close();
  }
}

test('a reply is what the generator writes after the rendered conversation', SKIP, async () => {
  await withChat(async ({ chat, generator, tokenizer }) => {
    const prompt = tokenizer.encode(`user: ${MESSAGES[0].content}\n\nassistant:`);
    const reply = await chat.chat(requestOf({ topLogprobs: 3 }));
    const written = await generator.generate({ ids: prompt, maxTokens: 20, temperature: 0, topP: 1, seed: 1, stopIds: [], topLogprobs: 3 });
    assert.equal(reply.text, tokenizer.decode(written.tokens.map(({ id }) => id)));
    assert.equal(reply.finish, 'length');
    assert.deepEqual(reply.usage, { promptTokens: prompt.length, completionTokens: 20, estimated: false });
    assert.deepEqual(reply.tokens!.map(({ logprob }) => logprob), written.tokens.map(({ logprob }) => logprob));
    assert.deepEqual(reply.tokens!.map(({ top }) => top.length), Array(20).fill(3));
    assert.equal(reply.tokens!.map(({ text }) => text).join(''), reply.text);
    for (const { text, offset } of reply.tokens!) assert.ok(reply.text.startsWith(text, offset));
    assert.equal((await chat.chat(requestOf())).tokens, null);
  });
});

test('seeds fix sampled replies; other seeds give others', SKIP, async () => {
  await withChat(async ({ chat }) => {
    const say = async (seed: number): Promise<string> => (await chat.chat(requestOf({ temperature: 1, seed }))).text;
    const [a, again, b] = await Promise.all([say(1), say(1), say(2)]);
    assert.equal(a, again);
    assert.notEqual(a, b);
  });
});

test('reading a prompt gives each token of the continuation what a forward run gives it', SKIP, async () => {
  await withChat(async ({ chat, generator, tokenizer }) => {
    const continuation = ' She loved to play\toutside 10\nin the é park 😀.';
    const { tokens, usage } = await chat.readPrompt({ messages: MESSAGES, continuation, topLogprobs: 4 });
    const head = `user: ${MESSAGES[0].content}\n\nassistant:`;
    const ids = tokenizer.encode(head + continuation);
    assert.deepEqual(usage, { promptTokens: ids.length, completionTokens: 0, estimated: false });
    const from = tokenizer.encode(head).length;
    const scored = await generator.score(ids, from, 4);
    assert.deepEqual(tokens.map(({ logprob }) => logprob), scored.map(({ logprob }) => logprob));
    assert.equal(tokens[0].offset, 0);
    const last = tokens.at(-1)!;
    assert.equal(continuation.slice(last.offset), '.');
    for (const { text, offset } of tokens) assert.ok(text.includes('\ufffd') || continuation.startsWith(text, offset), `"${text}" at ${offset}`);
    for (const { top } of tokens) assert.deepEqual(top.map(({ logprob }) => logprob), top.map(({ logprob }) => logprob).toSorted((a, b) => b - a));
    assert.deepEqual((await chat.readPrompt({ messages: MESSAGES, continuation: '', topLogprobs: 4 })).tokens, []);
  });
});

test('what a chat is made of is in its identity', SKIP, async () => {
  await withChat(async ({ chat, generator, tokenizer }) => {
    assert.deepEqual(chat.abilities, { promptLogprobs: true, replyLogprobs: true });
    const identity = JSON.stringify(chat.identity);
    for (const part of [generator.info.weightsHash, tokenizer.hash]) assert.ok(identity.includes(part));
  });
});

test('a conversation longer than the context is refused', SKIP, async () => {
  await withChat(async ({ chat }) => {
    await assert.rejects(chat.chat(requestOf({ messages: [{ role: 'user', content: 'word '.repeat(600) }] })), { code: 'TEXT_TOO_LONG' });
  });
});

test('tokens that are parts of one character begin where it does', () => {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  // One token a byte.
  const tokenizer = { decode: (ids: ArrayLike<number>) => decoder.decode(Uint8Array.from(ids)) };
  const text = 'aé😀b\ufffdc';
  const { text: spelled, offsets } = tokenOffsets(tokenizer, Int32Array.from(encoder.encode(text)));
  assert.equal(spelled, text);
  assert.deepEqual(offsets, [0, 1, 1, 2, 2, 2, 2, 4, 5, 5, 5, 6]);
  assert.equal(tokenOffsets(tokenizer, Int32Array.of(97, 0xf0, 0x9f)).text, 'a\ufffd');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplyCache } from '../../../src/adapters/files/replyCache.ts';
import { openChatModel } from '../../../src/adapters/openai/openaiChat.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import type { ChatRequest } from '../../../src/ports/ChatModel.ts';
import { withOpenaiServer, type OpenaiServerOptions, type ServedRequest } from '../../helpers/openaiServer.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const REQUEST: ChatRequest = { messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Say hello' }], maxTokens: 12, temperature: 0.5, seed: 4, attempt: 0 }; // prettier-ignore
const SCHEMA = { name: 'numbers', schema: { type: 'object' } };
const BOTH = { promptLogprobs: true, replyLogprobs: true };

async function bodies(options: OpenaiServerOptions, requests: readonly ChatRequest[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const seen: ServedRequest[] = [];
  await withOpenaiServer({ ...options, reply: (request) => (seen.push(request), 'yes') }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
    for (const request of requests) await chat.chat(request);
  });
  return seen.map(({ body }) => body);
}

test('a chat is sent with its limit, temperature, seed, schema and logprobs', async () => {
  const [body] = await bodies({}, [{ ...REQUEST, schema: SCHEMA, topLogprobs: 7 }]);
  assert.deepEqual(body, {
    model: 'rules', messages: REQUEST.messages, max_completion_tokens: 12, max_tokens: 12, temperature: 0.5, seed: 4, logprobs: true, top_logprobs: 7,
    response_format: { type: 'json_schema', json_schema: { ...SCHEMA, strict: true } },
  }); // prettier-ignore
});

test('parameters that the server refuses are left out or changed, and that is remembered', async () => {
  const refuses = ['max_tokens', 'temperature', 'seed', 'top_logprobs', 'response_format'];
  const seen = await bodies({ refuses }, [{ ...REQUEST, schema: SCHEMA, topLogprobs: 7 }, { ...REQUEST, attempt: 1 }]); // prettier-ignore
  assert.deepEqual(seen.map((body) => Object.keys(body)), [['model', 'messages', 'max_completion_tokens'], ['model', 'messages', 'max_completion_tokens']]); // prettier-ignore
  const [old] = await bodies({ refuses: ['max_completion_tokens'] }, [REQUEST]);
  assert.equal(old.max_tokens, 12);
  assert.equal('max_completion_tokens' in old, false);
});

test('requests that run into a refusal together all get through', async () => {
  await withOpenaiServer({ refuses: ['max_tokens', 'seed', 'temperature'], reply: ({ prompt }) => prompt.slice(-3) }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
    const replies = await Promise.all(['abc', 'def', 'ghi', 'jkl'].map((word) => chat.chat({ ...REQUEST, messages: [{ role: 'user', content: word }] })));
    assert.deepEqual(replies.map(({ text }) => text), ['abc', 'def', 'ghi', 'jkl']); // prettier-ignore
  });
});

test('a limit is never dropped altogether', async () => {
  await withOpenaiServer({ refuses: ['max_tokens', 'max_completion_tokens'] }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
    await assert.rejects(chat.chat(REQUEST), (error) => error instanceof CallerError && error.code === 'UNSUPPORTED' && /max_/.test(error.message));
    assert.equal(server.stats().paid.size, 0);
  });
});

test('abilities are found by probing, and not probed again where the answer is kept', async () => {
  const cases = [
    [{}, { promptLogprobs: true, replyLogprobs: true }],
    [{ refusesReading: ['echo'] }, { promptLogprobs: false, replyLogprobs: true }],
    [{ refuses: ['logprobs'] }, { promptLogprobs: true, replyLogprobs: false }],
    [{ refuses: ['top_logprobs'], refusesReading: ['logprobs'] }, { promptLogprobs: false, replyLogprobs: false }],
    [{ leastReading: 1 }, { promptLogprobs: true, replyLogprobs: true }],
    [{ leastReading: 1, failsDumbly: true }, { promptLogprobs: true, replyLogprobs: true }],
    [{ leastReading: 99, failsDumbly: true }, { promptLogprobs: false, replyLogprobs: true }],
    [{ refuses: ['messages'] }, { promptLogprobs: true, replyLogprobs: false }],
  ] as const; // prettier-ignore
  for (const [options, abilities] of cases) {
    await withFolder(async (folder) => {
      await withOpenaiServer(options, async (server) => {
        // What only failed is looked at again by the next process.
        const sure = !('leastReading' in options && options.leastReading === 99);
        for (const time of ['first', 'second']) {
          const cache = await openReplyCache(folder);
          const before = server.stats().arrived;
          const chat = await openChatModel({ baseUrl: server.url, model: 'rules', cache, backoffMs: 1 });
          assert.deepEqual(chat.abilities, abilities, JSON.stringify(options));
          assert.equal(server.stats().arrived > before, time === 'first' || !sure);
          assert.equal(chat.openingUsage.promptTokens > 0, time === 'first' || !sure);
          await chat.close();
          await cache.close();
        }
      });
    });
  }
});

test('what repeating cannot help is the caller’s matter, said once, without the key', async () => {
  const key = 'sk-secret-123456';
  const cases = [
    [{ apiKey: 'another' }, 'BAD_CONFIG', /OPENAI_API_KEY/],
    [{ models: ['other'] }, 'NOT_FOUND', /model rules/],
    [{ refuses: ['messages'], refusesReading: ['prompt'] }, 'BAD_INPUT', /messages/],
  ] as const; // prettier-ignore
  for (const [options, code, says] of cases) {
    await withOpenaiServer(options, async (server) => {
      await assert.rejects(openChatModel({ baseUrl: server.url, model: 'rules', apiKey: key }), (error) => {
        assert.ok(error instanceof CallerError);
        assert.equal(error.code, code);
        assert.match(error.message, says);
        assert.doesNotMatch(error.message, new RegExp(key));
        return true;
      });
      assert.equal(server.stats().paid.size, 0);
      assert.ok(server.stats().arrived <= 2, 'no repetitions');
    });
  }
  for (const baseUrl of ['localhost:8000', 'ftp://host/v1', 'http://me:secret@host/v1', '']) {
    await assert.rejects(openChatModel({ baseUrl, model: 'rules' }), (error) => error instanceof CallerError && error.code === 'BAD_CONFIG' && !error.message.includes('secret'));
  }
});

test('no key is sent to a server that needs none', async () => {
  await withOpenaiServer({ apiKey: 'right' }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', apiKey: 'right', abilities: BOTH });
    assert.equal((await chat.chat(REQUEST)).text, 'hello');
    await assert.rejects(openChatModel({ baseUrl: server.url, model: 'rules' }), (error) => error instanceof CallerError && /provided: \./.test(error.message));
  });
});

test('how a reply ended is told: stopped, cut off, withheld, declined', async () => {
  const replies = {
    stop: 'fine',
    length: 'one two three four five six seven eight nine ten eleven twelve thirteen',
    filter: { text: 'x', finish: 'content_filter' as const },
    refusal: { text: '', refusal: 'I cannot' },
  };
  await withOpenaiServer({ reply: ({ prompt }) => replies[prompt as keyof typeof replies] }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
    const finish = async (content: string): Promise<unknown> => {
      const reply = await chat.chat({ ...REQUEST, messages: [{ role: 'user', content }] });
      return [reply.finish, reply.text];
    };
    assert.deepEqual(await finish('stop'), ['stop', 'fine']);
    assert.deepEqual(await finish('length'), ['length', 'one two three four five six seven eight nine ten eleven twelve']);
    assert.deepEqual(await finish('filter'), ['refused', 'x']);
    assert.deepEqual(await finish('refusal'), ['refused', 'I cannot']);
  });
});

test('a prompt is read: the tokens of the continuation with their alternatives, offsets in UTF-16 units', async () => {
  const alternatives: OpenaiServerOptions['alternatives'] = ({ token }) => (token === 'unknown' ? { '0': 0.7, '10': 0.2, unknown: 0.1 } : { [token]: 1 });
  await withOpenaiServer({ alternatives }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules' });
    // The emoji before is two UTF-16 units and one code point; the one within shifts what follows.
    const messages = [{ role: 'user', content: 'Smile 🙂 now' }, { role: 'assistant', content: 'ok' }] as const; // prettier-ignore
    const { tokens, usage } = await chat.readPrompt({ messages, continuation: 'cat\tunknown\n🙂\tunknown', topLogprobs: 2 });
    assert.deepEqual(tokens.map(({ text, offset }) => [text, offset]), [['cat', 0], ['\t', 3], ['unknown', 4], ['\n', 11], ['🙂', 12], ['\t', 14], ['unknown', 15]]); // prettier-ignore
    assert.deepEqual(tokens[2].top.map(({ text, logprob }) => [text, Math.round(Math.exp(logprob) * 10)]), [['0', 7], ['10', 2]]); // prettier-ignore
    assert.equal(usage.estimated, false);
  });
});

test('a server that must say a token after reading is asked for one', async () => {
  const seen: unknown[] = [];
  await withOpenaiServer({ reply: ({ body }) => (seen.push(body.max_tokens), ' and more') }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
    const reading = await chat.readPrompt({ messages: [], continuation: 'a b', topLogprobs: 3 });
    assert.deepEqual([reading.tokens.map(({ text }) => text), seen], [['a', ' b'], []]);
  });
  await withOpenaiServer({ reply: ({ body }) => (seen.push(body.max_tokens), ' and more'), leastReading: 1 }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
    const reading = await chat.readPrompt({ messages: [], continuation: 'a b', topLogprobs: 3 });
    assert.deepEqual([reading.tokens.map(({ text }) => text), seen], [['a', ' b'], [1]]);
  });
});

test('the same request has the same Idempotency-Key, a repetition after a useless reply another', async () => {
  const keys: string[] = [];
  await withOpenaiServer({ reply: ({ idempotencyKey }) => (keys.push(idempotencyKey), 'yes') }, async (server) => {
    for (const attempt of [0, 0, 1]) {
      const chat = await openChatModel({ baseUrl: server.url, model: 'rules', abilities: BOTH });
      await chat.chat({ ...REQUEST, attempt });
    }
  });
  assert.equal(keys[0], keys[1]);
  assert.notEqual(keys[0], keys[2]);
  assert.match(keys[0], /^[0-9a-f]{64}$/);
});

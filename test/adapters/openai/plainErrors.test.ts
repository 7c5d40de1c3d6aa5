import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openChatModel } from '../../../src/adapters/openai/openaiChat.ts';
import { plainError } from '../../../src/adapters/openai/plainErrors.ts';

test('errors are read in every form that servers write them', () => {
  const cases = [
    ['{"error":{"message":"bad seed","param":"seed","code":"unsupported_parameter"}}', { message: 'bad seed', param: 'seed', code: 'unsupported_parameter' }],
    ['{"object":"error","message":"bad seed","type":"BadRequestError","param":null,"code":400}', { object: 'error', message: 'bad seed', type: 'BadRequestError', param: null, code: 400 }],
    ['{"detail":"bad seed"}', { message: 'bad seed' }],
    ['{"detail":[{"loc":["body","seed"],"msg":"extra"}]}', { message: '[{"loc":["body","seed"],"msg":"extra"}]' }],
    ['{"error":"bad seed"}', { message: 'bad seed' }],
    ['Bad seed', { message: 'Bad seed' }],
    ['', { message: 'no reason given' }],
    ['{"other":1}', { message: '{"other":1}' }],
  ] as const; // prettier-ignore
  for (const [text, expected] of cases) assert.deepEqual(plainError(text), expected, text);
});

test('a parameter that is refused in another form of error is left out, too', async () => {
  for (const error of ['{"detail":"Unexpected keys: {\'seed\'}"}', '{"object":"error","message":"seed is not allowed","code":400}', 'seed: unknown field']) {
    const seen: Record<string, unknown>[] = [];
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        const body = JSON.parse(text) as Record<string, unknown>;
        seen.push(body);
        if ('seed' in body) response.writeHead(422).end(error);
        else response.end(JSON.stringify({ choices: [{ message: { content: 'fine' }, finish_reason: 'stop' }] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
      const chat = await openChatModel({ baseUrl, model: 'rules', abilities: { promptLogprobs: false, replyLogprobs: false } });
      const reply = await chat.chat({ messages: [{ role: 'user', content: 'a' }], maxTokens: 5, temperature: 0, seed: 1, attempt: 0 });
      assert.deepEqual([reply.text, reply.usage.estimated, seen.length, 'seed' in seen[1]], ['fine', true, 2, false]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }
});

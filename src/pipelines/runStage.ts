import type { Progress } from '../ports/Progress.ts';
import type { FinishedRun, OpenRun, RunIdentity, RunStore } from '../ports/RunStore.ts';

export interface StageResult extends FinishedRun {
  /** True when a finished run of this identity was there already. */
  readonly reused: boolean;
}

/**
 * Runs a stage once: a finished run of the same identity is reused, an unfinished one is continued in its folder, and the
 * line said tells which. `work` writes below `run.dir` and returns the metrics of the manifest; when it throws, the run is
 * released and its folder kept for the next attempt.
 */
export async function runStage(
  ports: { readonly store: RunStore; readonly progress: Progress },
  identity: RunIdentity,
  work: (run: OpenRun) => Promise<Readonly<Record<string, unknown>>>,
): Promise<StageResult> {
  const { store, progress } = ports;
  const reuse = async (): Promise<StageResult | null> => {
    const found = await store.find(identity);
    if (found !== null) progress.say(`${identity.stage}: reused ${found.run.key.slice(0, 16)}`);
    return found === null ? null : { ...found, reused: true };
  };
  const before = await reuse();
  if (before !== null) return before;
  const run = await store.open(identity);
  try {
    // Another process may have finished it between the look and the lock.
    const meanwhile = await reuse();
    if (meanwhile !== null) return meanwhile;
    const started = performance.now();
    const finished = await run.finish(await work(run));
    progress.say(`${identity.stage}: ran ${finished.run.key.slice(0, 16)} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return { ...finished, reused: false };
  } finally {
    await run.release();
  }
}

import type { Run } from '../domain/run.ts';

/** What identifies a run before it starts. Equal identity = equal output, so a finished run is reused. */
export interface RunIdentity {
  readonly stage: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Hashes or run keys of the inputs by name. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly seed: number;
}

/** A run under way: `dir` is its private folder, kept after a crash so that the stage can resume from what it wrote there. */
export interface OpenRun {
  readonly key: string;
  readonly dir: string;
  /** Renames the folder to its final name and writes the manifest; returns the finished run. */
  finish(metrics: Readonly<Record<string, unknown>>): Promise<FinishedRun>;
  /** Gives the run up unfinished, keeping its folder for a later `open`. Does nothing after `finish`. */
  release(): Promise<void>;
}

export interface FinishedRun {
  readonly run: Run;
  readonly dir: string;
}

/** Folders and manifests of runs, under CATALOG_HOME/runs/<stage>-<key>. */
export interface RunStore {
  /** The finished run of this identity, or null. */
  find(identity: RunIdentity): Promise<FinishedRun | null>;
  /** Opens (or, after a crash, reopens) the run of this identity. Only one process may hold it. */
  open(identity: RunIdentity): Promise<OpenRun>;
}

import { join, relative } from 'node:path';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import type { StageResult } from '../../src/pipelines/runStage.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';

/** The text a run's dictionaries were made from. */
export interface MadeFrom {
  readonly tokensDir: string;
  /** Rows [0, trainRows); the rest is for analysis. */
  readonly trainRows: number;
}

/**
 * Makes the dictionaries that a finished run lists in its metrics (`dictionaries`: name and folder) the current ones of their
 * names. What analysed and explained them stays current only where the run is the one that was current before.
 */
export async function makeCurrent({ config }: Workspace, located: LocatedModel, result: StageResult, { tokensDir, trainRows }: MadeFrom): Promise<void> {
  const { home } = config;
  const made = result.run.metrics['dictionaries'] as readonly { name: string; folder: string }[];
  const train = relative(home, result.dir);
  await updateCurrentRuns(home, located.name, located.source, (current) => ({
    ...current,
    dictionaries: {
      ...current.dictionaries,
      ...Object.fromEntries(
        made.map(({ name, folder }) => {
          const before = current.dictionaries[name];
          const later = before?.train === train ? { analyse: before.analyse, explain: before.explain } : { analyse: null, explain: {} };
          return [name, { train, weights: join(train, folder), tokens: relative(home, tokensDir), trainRows, ...later }];
        }),
      ),
    },
  }));
}

import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { updateCurrentRuns, type CurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { openDictionaryReader } from '../../src/adapters/ort/dictionaryReader.ts';
import { openGraphRunner } from '../../src/adapters/ort/graphRunner.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { fitBaselines } from '../../src/pipelines/baselines.ts';
import type { BaselineOptions } from '../../src/pipelines/baselinesOptions.ts';
import { graphKernels } from '../../src/pipelines/graphKernels.ts';
import { modelSource, TOKENS_PER_FORWARD } from '../../src/pipelines/harvest.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';

export interface BaselinesStageInput {
  readonly located: LocatedModel;
  readonly model: SubjectModel;
  readonly tokens: TokenRows;
  readonly tokensDir: string;
  readonly hookPoints: readonly HookPoint[];
  /** Rows [0, trainRows) are fitted to (and held out from); the rest is for analysis. */
  readonly trainRows: number;
  readonly workers: number | undefined;
}

/** Fits baselines at every hook point and makes them the current dictionaries of their names, as trainStage does. */
export async function baselinesStage(workspace: Workspace, input: BaselinesStageInput, options: BaselineOptions): Promise<StageResult> {
  const { runs, artefacts, progress, config } = workspace;
  const { located, model, tokens, hookPoints, trainRows } = input;
  const { seed, ...params } = options;
  const result = await runStage(
    { store: runs, progress },
    { stage: 'baselines', params: { ...params, model: model.info.name, hookPoints, trainRows }, inputs: { model: model.info.weightsHash, tokens: tokens.hash }, seed },
    async (run) => {
      const workers = input.workers ?? config.workers ?? availableParallelism();
      const runner = openGraphRunner({ threads: workers });
      try {
        const source = modelSource({ model, tokens, hookPoints, skipPositions: options.skipPositions, tokensPerForward: TOKENS_PER_FORWARD });
        const fitted = await fitBaselines(
          { source, kernels: graphKernels(runner), reader: openDictionaryReader({ workers }), artefacts, progress },
          { model: model.info.name, rows: trainRows, cols: tokens.cols, run: run.key, dir: run.dir },
          options,
        );
        return { engine: runner.name, dictionaries: fitted.map(({ name, quality, fit }) => ({ name, folder: name, ...quality, fit })) };
      } finally {
        await runner.close();
      }
    },
  );
  const fitted = result.run.metrics['dictionaries'] as readonly { name: string; folder: string }[];
  await updateCurrentRuns(config.home, located.name, located.source, (current) => ({ ...current, dictionaries: { ...current.dictionaries, ...currentOf(current, config.home, result.dir, input, fitted) } }));
  return result;
}

function currentOf(current: CurrentRuns, home: string, dir: string, { tokensDir, trainRows }: BaselinesStageInput, fitted: readonly { name: string; folder: string }[]): CurrentRuns['dictionaries'] {
  const train = relative(home, dir);
  return Object.fromEntries(
    fitted.map(({ name, folder }) => {
      const before = current.dictionaries[name];
      const later = before?.train === train ? { analyse: before.analyse, explain: before.explain } : { analyse: null, explain: null };
      return [name, { train, weights: join(train, folder), tokens: relative(home, tokensDir), trainRows, ...later }];
    }),
  );
}

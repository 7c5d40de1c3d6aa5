import { availableParallelism } from 'node:os';
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
import { makeCurrent } from './makeCurrent.ts';

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
  await makeCurrent(workspace, located, result, input);
  return result;
}

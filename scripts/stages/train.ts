import { join } from 'node:path';
import { htmlTrainReport } from '../../src/adapters/report/trainReport.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { TOKENS_PER_FORWARD, modelSource, shardSource, type ActivationSource } from '../../src/pipelines/harvest.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import { trainDictionaries } from '../../src/pipelines/train.ts';
import { hookPointsRead } from '../../src/pipelines/trainLanes.ts';
import type { TrainOptions } from '../../src/pipelines/trainOptions.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { makeCurrent } from './makeCurrent.ts';
import { openEngine, type EngineChoice } from './trainingEngine.ts';

export interface TrainStageInput {
  readonly located: LocatedModel;
  readonly model: SubjectModel;
  readonly tokens: TokenRows;
  readonly tokensDir: string;
  readonly hookPoints: readonly HookPoint[];
  /** Rows [0, trainRows) are trained (and held out) from; the rest is for analysis. */
  readonly trainRows: number;
  /** Finished harvest run to read activations from instead of the model. */
  readonly cacheDir: string | null;
  /** What trains. Its device is not part of the run's identity, though another one rounds differently. */
  readonly engine: EngineChoice;
}

/** Trains every recipe at every hook point in one pass, and makes the dictionaries the current ones of their names. */
export async function trainStage(workspace: Workspace, input: TrainStageInput, options: TrainOptions): Promise<StageResult> {
  const { runs, artefacts, progress } = workspace;
  const { located, model, tokens, hookPoints, trainRows } = input;
  const { seed, ...params } = options;
  const result = await runStage(
    { store: runs, progress },
    { stage: 'train', params: { ...params, model: model.info.name, hookPoints, trainRows, ...(input.engine.engine === 'tfjs' ? { engine: 'tfjs' } : {}) }, inputs: { model: model.info.weightsHash, tokens: tokens.hash }, seed },
    async (run) => {
      const engine = await openEngine(input.engine, hookPoints.length * options.recipes.length, workspace);
      try {
        const { dictionaries, failures, vectors, seconds } = await trainDictionaries(
          { source: sourceOf(workspace, input, options), engine, artefacts, progress, report: htmlTrainReport() },
          { model: model.info.name, hookPoints, rows: trainRows, cols: tokens.cols, run: run.key, dir: run.dir },
          options,
        );
        return { vectors, seconds, engine: engine.name, failures, dictionaries: dictionaries.map(({ config: trained, quality, folder }) => ({ name: trained.name, folder, ...quality })) };
      } finally {
        await engine.close();
      }
    },
  );
  progress.say(`train: curves in ${join(result.dir, 'report.html')}`);
  await makeCurrent(workspace, located, result, input);
  return result;
}

function sourceOf({ artefacts }: Workspace, input: TrainStageInput, options: TrainOptions): ActivationSource {
  const { model, tokens, cacheDir } = input;
  const { skipPositions } = options;
  const hookPoints = hookPointsRead(input.hookPoints, options.recipes);
  if (cacheDir === null) return modelSource({ model, tokens, hookPoints, skipPositions, tokensPerForward: TOKENS_PER_FORWARD });
  return shardSource({ artefacts, dir: cacheDir, hookPoints, dIn: model.info.dModel, skipPositions, modelHash: model.info.weightsHash, tokensHash: tokens.hash });
}

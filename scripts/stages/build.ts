import type { Device } from '../../src/config.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { TrainOptions } from '../../src/pipelines/trainOptions.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { analyseStage, type AnalyseOptions } from './analyse.ts';
import { circuitsStage, type CircuitsStageOptions, type TargetChoice } from './circuits.ts';
import { explainStage, type ExplainStageOptions } from './explain.ts';
import { loadStage, type Loaded } from './load.ts';
import { NEAREST_DEFAULTS, nearestStage } from './nearest.ts';
import type { TextSource } from './textSources.ts';
import { tokensStage, withTokens, type TokensOptions } from './tokens.ts';
import { trainStage } from './train.ts';

export interface BuildOptions {
  readonly text: TextSource;
  readonly tokens: TokensOptions;
  readonly hookPoints: readonly HookPoint[];
  /** Share of the rows to train on; the rest is for analysis. */
  readonly trainShare: number;
  readonly set: string;
  readonly train: TrainOptions;
  readonly analyse: AnalyseOptions;
  readonly explain: ExplainStageOptions;
  readonly targets: TargetChoice;
  readonly circuits: CircuitsStageOptions;
  /** Whether the nearest features across the dictionaries are found. */
  readonly nearest: boolean;
  readonly device?: Device | undefined;
  readonly workers?: number | undefined;
  /** Load again what the catalog holds already. */
  readonly reload: boolean;
}

/** Rows of the token file that training takes; the others are for analysis. */
export function trainRowsOf(rows: number, share: number): number {
  return Math.max(1, Math.floor(rows * share));
}

/** All stages on one model, each reused when it was finished before. */
export async function build(workspace: Workspace, opened: { located: LocatedModel; model: GradientModel; tokenizer: Tokenizer }, options: BuildOptions): Promise<Loaded> {
  const { located, model, tokenizer } = opened;
  const { set, hookPoints, device, workers } = options;
  const text = await tokensStage(workspace, options.text, tokenizer, model.info.vocabSize, options.tokens);
  await withTokens(text.dir, (tokens) =>
    trainStage(workspace, { located, model, tokens, tokensDir: text.dir, hookPoints, trainRows: trainRowsOf(tokens.rows, options.trainShare), cacheDir: null, engine: { device, workers } }, options.train),
  );
  await analyseStage(workspace, located, model, set, options.analyse);
  await explainStage(workspace, located, model, tokenizer, set, options.explain);
  await circuitsStage(workspace, located, model, tokenizer, [set], options.targets, options.circuits);
  // One dictionary alone has no others.
  if (options.nearest && hookPoints.length > 1) await nearestStage(workspace, located, { ...NEAREST_DEFAULTS, sets: [set] }, workers);
  return loadStage(workspace, located, model.info, tokenizer, set, options.reload);
}

import { join } from 'node:path';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { parseHookPoint, type HookPoint } from '../../src/domain/hookPoint.ts';
import { BASELINE_DEFAULTS } from '../../src/pipelines/baselinesOptions.ts';
import { TIED_RECIPE, TRAIN_DEFAULTS, type TrainOptions } from '../../src/pipelines/trainOptions.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, ModelChoice, Workspace } from '../workspace.ts';
import type { AnalyseOptions, PaperChoice } from './analyse.ts';
import { baselinesStage } from './baselines.ts';
import type { ExplainStageOptions } from './explain.ts';
import type { Method } from './interpMethods.ts';
import { membersOf, missingLayers, type ComparedText, type TextChoice } from './interpText.ts';
import { withTokens } from './tokens.ts';
import { trainStage } from './train.ts';

export interface InterpChoice {
  readonly model: ModelChoice;
  /** See planMethods. */
  readonly methods: readonly string[];
  /** `all`: those of the first set where it exists, else all of the model's. */
  readonly layers: 'all' | readonly number[];
  readonly text: TextChoice;
  readonly analyse: AnalyseOptions;
  /** Text of the paper's protocol; null: the rows that training left. */
  readonly paper: Omit<PaperChoice, 'tokenizer'> | null;
  /** Its `features` are the first so many by index of each dictionary. */
  readonly explain: ExplainStageOptions;
  readonly seed: number;
}

/** A model that is open, and what every part of the comparison shares. */
export interface Opened {
  readonly workspace: Workspace;
  readonly located: LocatedModel;
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
  readonly choice: InterpChoice;
  /** By language models, over all methods: one budget holds for the whole comparison. */
  readonly spent: { tokens: number; usd: number };
}

/** Layers of the comparison. */
export async function layersOf({ workspace, located, model, choice }: Opened, set: string): Promise<number[]> {
  const all = Array.from({ length: model.info.layers }, (_, layer) => layer);
  if (choice.layers !== 'all') {
    for (const layer of choice.layers) parseHookPoint(`resid_post.${layer}`, model.info.layers);
    return [...choice.layers];
  }
  const known = Object.keys(await membersOf(workspace, located.name, set)).map(Number);
  return known.length > 0 && choice.text.text === null ? known.toSorted((a, b) => a - b) : all;
}

const hookPointsOf = (layers: readonly number[]): HookPoint[] => layers.map((layer): HookPoint => `resid_post.${layer}`);

/** Trains what the set lacks on this text, where its name says how. */
export async function trainMissing(opened: Opened, set: string, layers: readonly number[], text: ComparedText): Promise<void> {
  const { workspace, located, choice } = opened;
  const missing = await missingLayers(workspace, located.name, set, layers, text);
  if (missing.length === 0) return workspace.progress.say(`train: the dictionaries of set ${set} are there already`);
  const ratio = /^tied-r(\d+(?:\.\d+)?)$/.exec(set)?.[1];
  if (ratio === undefined) {
    throw new CallerError('NOT_FOUND', `model ${located.name} has no dictionaries of set ${set} for ${missing.map((layer) => `layer ${layer}`).join(', ')} made from this text; train or import them first (only sets called tied-rR are trained here)`);
  }
  await trainLayers(opened, missing, text, { ...TRAIN_DEFAULTS, recipes: [{ ...TIED_RECIPE, set, ratio: Number(ratio), seed: choice.seed }], seed: choice.seed });
}

export async function trainLayers({ workspace, located, model, choice }: Opened, layers: readonly number[], { dir, trainRows }: ComparedText, options: TrainOptions): Promise<void> {
  const { device, workers } = choice.model;
  await withTokens(dir, (tokens) =>
    trainStage(workspace, { located, model, tokens, tokensDir: dir, hookPoints: hookPointsOf(layers), trainRows, cacheDir: null, engine: { device, workers } }, options),
  );
}

/** Fits the baselines that are not there on this text. */
export async function fitMissing({ workspace, located, model, choice }: Opened, methods: readonly Method[], layers: readonly number[], text: ComparedText): Promise<void> {
  const missing: Extract<Method, { kind: 'baseline' }>[] = [];
  for (const method of methods) {
    if (method.kind !== 'baseline') continue;
    if ((await missingLayers(workspace, located.name, method.set, layers, text)).length > 0) missing.push(method);
    else workspace.progress.say(`baselines: ${method.name} is there already`);
  }
  if (missing.length === 0) return;
  const sparse = new Set(missing.flatMap(({ baseline, k }) => (k === null ? [] : [baseline])));
  const topK = [...new Set(missing.flatMap(({ k }) => (k === null ? [] : [k])))];
  // A stage makes every sparse variant of all its kinds: those that need none are fitted by themselves.
  const passes = [{ kinds: missing.flatMap(({ baseline }) => (sparse.has(baseline) ? [] : [baseline])), topK: [] }, { kinds: [...sparse], topK }];
  for (const pass of passes) {
    if (pass.kinds.length === 0) continue;
    await withTokens(text.dir, (tokens) =>
      baselinesStage(workspace, { located, model, tokens, tokensDir: text.dir, hookPoints: hookPointsOf(layers), trainRows: text.trainRows, workers: choice.model.workers }, { ...BASELINE_DEFAULTS, ...pass, seed: choice.seed }),
    );
  }
}

/** How the reference was trained, for the control: from the manifest of its run. */
export async function recipeOf(workspace: Workspace, model: string, set: string, layers: readonly number[]): Promise<TrainOptions> {
  const current = (await membersOf(workspace, model, set))[layers[0]!]!;
  const { run } = await readManifest(join(workspace.config.home, current.train));
  if (run.stage !== 'train') throw new CallerError('UNSUPPORTED', `the dictionaries of set ${set} come from stage ${run.stage}: how to train a control like them is not known; leave control out of --methods`);
  const { model: _, hookPoints: _hooks, trainRows: _rows, engine: _engine, ...options } = run.params;
  const { recipes, ...rest } = options as unknown as Omit<TrainOptions, 'seed'>;
  return { ...rest, recipes: recipes.filter((recipe) => recipe.set === set), seed: run.seed };
}

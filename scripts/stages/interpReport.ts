import { join } from 'node:path';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import { parseHookPoint, type HookPoint } from '../../src/domain/hookPoint.ts';
import { featuresFile } from '../../src/pipelines/analyse.ts';
import { BASELINE_DEFAULTS } from '../../src/pipelines/baselinesOptions.ts';
import { interpReportData, type ComparedDictionary } from '../../src/pipelines/interpReport.ts';
import { withShortScores } from '../../src/pipelines/shortPatternSimulator.ts';
import { TIED_RECIPE, TRAIN_DEFAULTS, type TrainOptions } from '../../src/pipelines/trainOptions.ts';
import type { InterpReportData } from '../../src/ports/InterpReport.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { withModel, type LocatedModel, type ModelChoice, type Workspace } from '../workspace.ts';
import { analyseStage, type AnalyseOptions, type PaperChoice } from './analyse.ts';
import { baselinesStage } from './baselines.ts';
import { controlModel } from './controlModel.ts';
import { openSet } from './dictionarySet.ts';
import { explainStage, type ExplainStageOptions } from './explain.ts';
import { interpFacts, interpNotes } from './interpFacts.ts';
import { askedOf, planMethods, type Method } from './interpMethods.ts';
import { comparedText, membersOf, missingLayers, type ComparedText, type TextChoice } from './interpText.ts';
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
interface Opened {
  readonly workspace: Workspace;
  readonly located: LocatedModel;
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
  readonly choice: InterpChoice;
  /** By language models, over all methods: one budget holds for the whole comparison. */
  readonly spent: { tokens: number; usd: number };
}

/**
 * Makes what a comparison of methods lacks, each stage a run that is reused, and sets their scores side by side. Dictionaries, baselines
 * and control are made from the same text, analysed on the same rows and explained by the same explainer.
 */
export async function interpStage(workspace: Workspace, located: LocatedModel, choice: InterpChoice): Promise<InterpReportData> {
  const methods = planMethods(choice.methods);
  const reference = methods.find(({ kind }) => kind === 'trained')!;
  const spent = { tokens: 0, usd: 0 };
  const made = await withModel(workspace, located, choice.model, async (model, tokenizer) => {
    const opened = { workspace, located, model, tokenizer, choice, spent };
    const text = await comparedText(workspace, located, model, tokenizer, reference.set, choice.text);
    const layers = await layersOf(opened, reference.set);
    for (const method of methods) if (method.kind === 'trained') await trainMissing(opened, method.set, layers, text);
    await fitMissing(opened, methods, layers, text);
    const dictionaries: ComparedDictionary[] = [];
    for (const method of methods) if (method.kind !== 'control') dictionaries.push(...(await readMethod(opened, method, layers)));
    return { text, layers, dictionaries, modelHash: model.info.weightsHash, tokenizerHash: tokenizer.hash };
  });
  const { text, layers, modelHash } = made;
  const dictionaries = [...made.dictionaries];
  for (const method of methods) {
    if (method.kind !== 'control') continue;
    const train = await recipeOf(workspace, located.name, reference.set, layers);
    const control = await controlModel(workspace, located, modelHash, { keepEmbeddings: method.keepEmbeddings, seed: choice.seed });
    dictionaries.push(...(await withModel(workspace, control, choice.model, async (model, tokenizer) => {
      const opened = { workspace, located: control, model, tokenizer, choice, spent };
      await trainLayers(opened, layers, text, train);
      return readMethod(opened, method, layers);
    }))); // prettier-ignore
  }
  const order = new Map(methods.map(({ name }, i) => [name, i]));
  return interpReportData({
    title: `Interpretability of features of ${located.name}, by method`,
    methods: methods.map(({ name, what }) => ({ name, what })),
    reference: reference.name,
    dictionaries: dictionaries.toSorted((a, b) => a.layer - b.layer || order.get(a.method)! - order.get(b.method)!),
    floors: methods.flatMap((method) => (method.name === 'neuron' || method.name === 'random' ? [method.name] : [])),
    controls: methods.flatMap(({ kind, name }) => (kind === 'control' ? [name] : [])),
    facts: await interpFacts({ name: located.name, weightsHash: modelHash, tokenizerHash: made.tokenizerHash }, text, dictionaries, { ...choice.explain, seed: choice.seed }),
    notes: interpNotes(choice.explain.features),
    seed: choice.seed,
  });
}

async function layersOf({ workspace, located, model, choice }: Opened, set: string): Promise<number[]> {
  const all = Array.from({ length: model.info.layers }, (_, layer) => layer);
  if (choice.layers !== 'all') {
    for (const layer of choice.layers) parseHookPoint(`resid_post.${layer}`, model.info.layers);
    return [...choice.layers];
  }
  const known = Object.keys(await membersOf(workspace, located.name, set)).map(Number);
  return known.length > 0 && choice.text.text === null ? known.toSorted((a, b) => a - b) : all;
}

const hookPointsOf = (layers: readonly number[]): HookPoint[] => layers.map((layer): HookPoint => `resid_post.${layer}`);

async function trainMissing(opened: Opened, set: string, layers: readonly number[], text: ComparedText): Promise<void> {
  const { workspace, located, choice } = opened;
  const missing = await missingLayers(workspace, located.name, set, layers, text);
  if (missing.length === 0) return workspace.progress.say(`train: the dictionaries of set ${set} are there already`);
  const ratio = /^tied-r(\d+(?:\.\d+)?)$/.exec(set)?.[1];
  if (ratio === undefined) {
    throw new CallerError('NOT_FOUND', `model ${located.name} has no dictionaries of set ${set} for ${missing.map((layer) => `layer ${layer}`).join(', ')} made from this text; train or import them first (only sets called tied-rR are trained here)`);
  }
  await trainLayers(opened, missing, text, { ...TRAIN_DEFAULTS, recipes: [{ ...TIED_RECIPE, set, ratio: Number(ratio), seed: choice.seed }], seed: choice.seed });
}

async function trainLayers({ workspace, located, model, choice }: Opened, layers: readonly number[], { dir, trainRows }: ComparedText, options: TrainOptions): Promise<void> {
  const { device, workers } = choice.model;
  await withTokens(dir, (tokens) =>
    trainStage(workspace, { located, model, tokens, tokensDir: dir, hookPoints: hookPointsOf(layers), trainRows, cacheDir: null, engine: { device, workers } }, options),
  );
}

async function fitMissing({ workspace, located, model, choice }: Opened, methods: readonly Method[], layers: readonly number[], text: ComparedText): Promise<void> {
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
async function recipeOf(workspace: Workspace, model: string, set: string, layers: readonly number[]): Promise<TrainOptions> {
  const current = (await membersOf(workspace, model, set))[layers[0]!]!;
  const { run } = await readManifest(join(workspace.config.home, current.train));
  if (run.stage !== 'train') throw new CallerError('UNSUPPORTED', `the dictionaries of set ${set} come from stage ${run.stage}: how to train a control like them is not known; leave control out of --methods`);
  const { model: _, hookPoints: _hooks, trainRows: _rows, engine: _engine, ...options } = run.params;
  const { recipes, ...rest } = options as unknown as Omit<TrainOptions, 'seed'>;
  return { ...rest, recipes: recipes.filter((recipe) => recipe.set === set), seed: run.seed };
}

/** Analyses and explains one method's dictionaries, and reads what was found for the features asked for. */
async function readMethod({ workspace, located, model, tokenizer, choice, spent }: Opened, method: Method, layers: readonly number[]): Promise<ComparedDictionary[]> {
  const { config, artefacts } = workspace;
  await analyseStage(workspace, located, model, method.set, choice.analyse, choice.paper === null ? undefined : { ...choice.paper, tokenizer });
  const members = (await openSet(workspace, located.name, method.set)).filter(({ weights }) => layers.includes(parseHookPoint(weights.config.hookPoint).layer));
  const features = askedOf(members[0]!.weights.config, choice.explain.features);
  const explained = await explainStage(workspace, located, model, tokenizer, method.set, { ...choice.explain, features, only: members.map(({ name }) => name), reuseWider: true, spent });
  const keyOf = async (dir: string): Promise<string> => (await readManifest(join(config.home, dir))).run.key;
  return Promise.all(members.map(async ({ name, weights: { config: dictionary }, quality, current }) => {
    const { run, dir } = explained.find((one) => one.name === name)!;
    const asked = Math.min(features === 'all' ? Infinity : features, dictionary.nFeatures);
    const found = await first(artefacts.readRecords<ExplainOutcome>(join(dir, 'explanations.ndjson')), asked);
    const analysed = await first(artefacts.readRecords<FeatureAnalysis>(join(config.home, current.analyse!, featuresFile(name))), asked);
    const outcomes = await withShortScores(found, new Map(analysed.map((feature) => [feature.index, feature])), choice.explain.seed);
    return {
      layer: parseHookPoint(dictionary.hookPoint).layer, method: method.name, dictionary: `${located.name}/${name}`, nFeatures: dictionary.nFeatures, quality, weightsHash: dictionary.weightsHash,
      runs: { train: await keyOf(current.train), analyse: await keyOf(current.analyse!), explain: run.key }, outcomes,
    }; // prettier-ignore
  }));
}

async function first<T>(records: AsyncIterable<T>, count: number): Promise<T[]> {
  const found: T[] = [];
  for await (const record of records) {
    if (found.length === count) break;
    found.push(record);
  }
  return found;
}

import { join } from 'node:path';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import { parseHookPoint } from '../../src/domain/hookPoint.ts';
import { featuresFile } from '../../src/pipelines/analyse.ts';
import { interpReportData, type ComparedDictionary } from '../../src/pipelines/interpReport.ts';
import { withShortScores } from '../../src/pipelines/shortPatternSimulator.ts';
import type { InterpReportData } from '../../src/ports/InterpReport.ts';
import { withModel, type LocatedModel, type Workspace } from '../workspace.ts';
import { analyseStage } from './analyse.ts';
import { controlModel } from './controlModel.ts';
import { openSet } from './dictionarySet.ts';
import { explainStage } from './explain.ts';
import { interpFacts, interpNotes } from './interpFacts.ts';
import { fitMissing, layersOf, recipeOf, trainLayers, trainMissing, type InterpChoice, type Opened } from './interpMake.ts';
import { askedOf, planMethods, type Method } from './interpMethods.ts';
import { comparedText } from './interpText.ts';

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
    const text = await comparedText(workspace, located, model, tokenizer, reference.set, choice.layers, choice.text);
    const layers = await layersOf(opened, reference.set);
    for (const method of methods) if (method.kind === 'trained') await trainMissing(opened, method.set, layers, text);
    // Asked before the long work: without a recipe there is no control.
    const recipe = methods.some(({ kind }) => kind === 'control') ? await recipeOf(workspace, located.name, reference.set, layers) : null;
    await fitMissing(opened, methods, layers, text);
    const dictionaries: ComparedDictionary[] = [];
    for (const method of methods) if (method.kind !== 'control') dictionaries.push(...(await readMethod(opened, method, layers)));
    return { text, layers, recipe, dictionaries, modelHash: model.info.weightsHash, tokenizerHash: tokenizer.hash };
  });
  const { text, layers, recipe, modelHash } = made;
  const dictionaries = [...made.dictionaries];
  for (const method of methods) {
    if (method.kind !== 'control' || recipe === null) continue;
    const control = await controlModel(workspace, located, modelHash, { keepEmbeddings: method.keepEmbeddings, seed: choice.seed });
    dictionaries.push(...(await withModel(workspace, control, choice.model, async (model, tokenizer) => {
      const opened = { workspace, located: control, model, tokenizer, choice, spent };
      await trainLayers(opened, layers, text, recipe);
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
      densities: analysed.map(({ density }) => density), runs: { train: await keyOf(current.train), analyse: await keyOf(current.analyse!), explain: run.key }, outcomes,
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

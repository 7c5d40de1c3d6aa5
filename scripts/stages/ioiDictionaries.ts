import { join } from 'node:path';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import type { Device } from '../../src/config.ts';
import { TRAINABLE_ARCHITECTURES } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { parseHookPoint, type HookPoint } from '../../src/domain/hookPoint.ts';
import type { IoiDictionary } from '../../src/pipelines/ioi.ts';
import { BASELINE_DEFAULTS } from '../../src/pipelines/baselinesOptions.ts';
import { sweepRecipes } from '../../src/pipelines/sweep.ts';
import { TRAIN_DEFAULTS, type DictionaryRecipe } from '../../src/pipelines/trainOptions.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { baselinesStage } from './baselines.ts';
import { comparedText, membersOf, type ComparedText, type TextChoice } from './interpText.ts';
import { withTokens } from './tokens.ts';
import { trainStage } from './train.ts';

/** Which dictionaries take part, and how those that are missing are made. */
export interface IoiMethodChoice {
  /** Names of sets, `pca` (both signs of a component patched together) and `pca-nonneg` (one at a time); null = every trained set there is, and both. */
  readonly methods: readonly string[] | null;
  /** Besides, tied dictionaries of these sparsity coefficients, trained where they are missing. */
  readonly l1: readonly number[];
  readonly ratio: number;
  /** Vectors per dictionary to train on; null = all. */
  readonly maxVectors: number | null;
  readonly layers: 'all' | readonly number[];
  readonly text: TextChoice;
  readonly device: Device | undefined;
  readonly workers: number | undefined;
  readonly seed: number;
}

interface Opened {
  readonly workspace: Workspace;
  readonly located: LocatedModel;
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
}

/** The two ways in which the principal components of one dictionary are patched. */
const PCA = 'pca';
const PCA_NONNEG = 'pca-nonneg';

/** Trains and fits what is missing, and opens everything that takes part, layer by layer in the order of the methods. */
export async function ioiDictionaries(opened: Opened, choice: IoiMethodChoice): Promise<{ methods: { name: string; what: string }[]; dictionaries: IoiDictionary[] }> {
  const { workspace, located, model } = opened;
  const recipes = recipesOf(choice);
  const layers = choice.layers === 'all' ? Array.from({ length: model.info.layers }, (_, layer) => layer) : [...choice.layers];
  for (const layer of layers) parseHookPoint(`resid_post.${layer}`, model.info.layers);
  const names = [...new Set([...(choice.methods ?? (await trainedSets(opened)).filter((set) => !recipes.some((recipe) => recipe.set === set))), ...recipes.map(({ set }) => set), ...(choice.methods === null ? [PCA, PCA_NONNEG] : [])])];
  await makeMissing(opened, choice, recipes, names.some((name) => setOf(name) === PCA), layers);
  const dictionaries: IoiDictionary[] = [];
  for (const layer of layers) {
    for (const method of names) {
      const member = (await membersOf(workspace, located.name, setOf(method)))[layer];
      if (member === undefined) continue;
      const { weights } = await workspace.artefacts.readDictionary(join(workspace.config.home, member.weights));
      dictionaries.push({ method, layer, weights, signed: method === PCA });
    }
  }
  const absent = names.filter((name) => !dictionaries.some(({ method }) => method === name));
  if (absent.length > 0) {
    throw new CallerError('NOT_FOUND', `model ${located.name} has no dictionaries of ${absent.join(', ')} at the layers asked for; it has the sets ${[...(await trainedSets(opened)), PCA, PCA_NONNEG].join(', ')}. Train some with train, or with --l1`);
  }
  const described = names.map((name) => ({ name, what: whatOf(name, dictionaries) }));
  return { methods: described, dictionaries };
}

/** Recipes of the coefficients asked for, named as `train --sparsity a,b` names them. */
function recipesOf({ l1, ratio, seed }: IoiMethodChoice): DictionaryRecipe[] {
  if (l1.length === 0) return [];
  // A sweep of one value carries no value in its name: give it a second.
  const sparsities = l1.length === 1 ? [l1[0], l1[0] + 1] : l1;
  return sweepRecipes({ architectures: ['tied'], ratios: [ratio], sparsities, ks: [], seeds: [seed], hyper: {}, output: null, skip: false, set: null }).slice(0, l1.length);
}

/** Sets of trained dictionaries that read a residual stream, by name. */
async function trainedSets({ workspace: { config, artefacts }, located }: Opened): Promise<string[]> {
  const sets = new Set<string>();
  for (const [name, current] of Object.entries((await readCurrentRuns(config.home, located.name))?.dictionaries ?? {})) {
    const set = name.replace(/^\d+-/, '');
    if (sets.has(set)) continue;
    const { weights } = await artefacts.readDictionary(join(config.home, current.weights));
    if ((TRAINABLE_ARCHITECTURES as readonly string[]).includes(weights.config.architecture) && weights.config.hookPoint.startsWith('resid_post.') && weights.config.outputHookPoint === null) sets.add(set);
  }
  return [...sets].sort();
}

async function makeMissing(opened: Opened, choice: IoiMethodChoice, recipes: readonly DictionaryRecipe[], pca: boolean, layers: readonly number[]): Promise<void> {
  const { workspace, located, model, tokenizer } = opened;
  const lacking = async (set: string): Promise<number[]> => {
    const members = await membersOf(workspace, located.name, set);
    return layers.filter((layer) => members[layer] === undefined);
  };
  const missing = await Promise.all(recipes.map(async (recipe) => ({ recipe, layers: await lacking(recipe.set) })));
  const untrained = missing.filter(({ layers: without }) => without.length > 0);
  const unfitted = pca ? await lacking(PCA) : [];
  if (untrained.length === 0 && unfitted.length === 0) return;
  const [reference = 'tied-r4'] = await trainedSets(opened);
  const text = await comparedText(workspace, located, model, tokenizer, reference, 'all', choice.text);
  const hookPoints = (of: readonly number[]): HookPoint[] => of.map((layer): HookPoint => `resid_post.${layer}`);
  const shared = (tokens: Parameters<Parameters<typeof withTokens>[1]>[0], { dir, trainRows }: ComparedText) => ({ located, model, tokens, tokensDir: dir, trainRows });
  await withTokens(text.dir, async (tokens) => {
    if (untrained.length > 0) {
      const at = layers.filter((layer) => untrained.some((one) => one.layers.includes(layer)));
      const options = { ...TRAIN_DEFAULTS, recipes: untrained.map(({ recipe }) => recipe), maxVectors: choice.maxVectors, seed: choice.seed };
      await trainStage(workspace, { ...shared(tokens, text), hookPoints: hookPoints(at), cacheDir: null, engine: { device: choice.device, workers: choice.workers } }, options);
    }
    if (unfitted.length > 0) await baselinesStage(workspace, { ...shared(tokens, text), hookPoints: hookPoints(unfitted), workers: choice.workers }, { ...BASELINE_DEFAULTS, kinds: ['pca'], seed: choice.seed });
  });
}

function setOf(method: string): string {
  return method === PCA_NONNEG ? PCA : method;
}

function whatOf(name: string, dictionaries: readonly IoiDictionary[]): string {
  const { weights: { config } } = dictionaries.find(({ method }) => method === name)!; // prettier-ignore
  if (name === PCA) return 'principal components, each patched with both its signs: what is patched is the projection itself, for which it makes no difference whether the mean is taken off';
  if (name === PCA_NONNEG) return 'principal components and their negatives as features that are never negative, mean taken off; each is patched by itself';
  return `${config.architecture} dictionary, ${config.nFeatures} features${config.l1 === null ? '' : `, L1 coefficient ${config.l1}`}${config.k === null ? '' : `, ${config.k} active`}`;
}

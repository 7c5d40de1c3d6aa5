import { checkSpec, resolveHyperparameters } from '../dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../dictionary/registry.ts';
import { dictionaryName } from '../domain/address.ts';
import { CallerError } from '../domain/errors.ts';
import { parseHookPoint } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TrainerSpec } from '../domain/training.ts';
import { Rng } from '../math/rng.ts';
import type { Trainer } from '../ports/TrainingEngine.ts';
import type { DictionaryRecipe, TrainOptions } from './trainOptions.ts';

/** A dictionary to train: one recipe at one hook point. */
export interface LanePlan {
  /** Also its folder below the run's. */
  readonly name: string;
  readonly recipe: DictionaryRecipe;
  readonly hookPoint: HookPoint;
  readonly outputHookPoint: HookPoint | null;
  readonly spec: TrainerSpec;
}

/** A dictionary under way. */
export interface Lane extends LanePlan {
  readonly trainer: Trainer;
}

/** Name of the dictionary at a hook point, e.g. `2-tied-r4`, `2-mlp_out-tied-r4` away from resid_post, `2-transcoder-topk-r4`. */
export function trainedName(hookPoint: HookPoint, { set, output }: Pick<DictionaryRecipe, 'set' | 'output'>): string {
  const { kind, layer } = parseHookPoint(hookPoint);
  if (output !== null) return dictionaryName(layer, `${kind === 'mlp_in' && output === 'mlp_out' ? 'transcoder' : `${kind}-to-${output}`}-${set}`);
  return dictionaryName(layer, `${kind === 'resid_post' ? '' : `${kind}-`}${set}`);
}

/** Where a recipe's decoder writes at a hook point; null where it reads. Throws BAD_INPUT where the two are the same or there is no layer. */
export function outputOf(hookPoint: HookPoint, { output }: Pick<DictionaryRecipe, 'output'>): HookPoint | null {
  if (output === null) return null;
  const { kind, layer } = parseHookPoint(hookPoint);
  if (kind === 'embed' || kind === output) throw new CallerError('BAD_INPUT', `a transcoder from ${hookPoint} to ${output}: expected another kind of hook point in the same layer, e.g. from mlp_in.${layer} to mlp_out.${layer}`);
  return `${output}.${layer}`;
}

/** Every hook point whose activations the lanes read or predict, each once. */
export function hookPointsRead(hookPoints: readonly HookPoint[], recipes: readonly DictionaryRecipe[]): HookPoint[] {
  const outputs = recipes.flatMap((recipe) => hookPoints.map((hook) => outputOf(hook, recipe)));
  return [...new Set([...hookPoints, ...outputs.filter((hook) => hook !== null)])];
}

/**
 * All recipes at all hook points. A lane's seed comes from its recipe's seed and hook point alone, so a dictionary trained in
 * a sweep has the same weights as one trained by itself on the same data. Throws what checkSpec throws.
 */
export function planLanes(hookPoints: readonly HookPoint[], width: (hook: HookPoint) => number, options: TrainOptions, totalSteps: number): LanePlan[] {
  const lanes = options.recipes.flatMap((recipe) =>
    hookPoints.map((hookPoint): LanePlan => {
      const outputHookPoint = outputOf(hookPoint, recipe);
      const dIn = width(hookPoint);
      const dOut = width(outputHookPoint ?? hookPoint);
      const sizes = { dIn, dOut, nFeatures: Math.max(1, Math.round(recipe.ratio * dIn)), batchSize: options.batchSize, totalSteps };
      const architecture = trainableArchitecture(recipe.architecture);
      const spec: TrainerSpec = {
        ...sizes,
        architecture: architecture.name,
        transcoder: outputHookPoint !== null,
        skip: recipe.skip,
        hyper: resolveHyperparameters(architecture, sizes, recipe.hyper),
        seed: Rng.derive(recipe.seed, 'trainer', hookPoint).uint32(),
      };
      checkSpec(architecture, spec);
      return { name: trainedName(hookPoint, recipe), recipe, hookPoint, outputHookPoint, spec };
    }),
  );
  return lanes;
}

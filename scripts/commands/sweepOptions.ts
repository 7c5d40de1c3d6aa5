import { InvalidArgumentError, type Command } from 'commander';
import { TRAINABLE_ARCHITECTURES, type TrainableArchitecture } from '../../src/domain/dictionary.ts';
import { HOOK_KINDS, type HookKind } from '../../src/domain/hookPoint.ts';
import type { Hyperparameters } from '../../src/domain/training.ts';
import { NEUTRAL } from '../../src/dictionary/hyperparameters.ts';
import { sweepRecipes } from '../../src/pipelines/sweep.ts';
import { TIED_RECIPE, type DictionaryRecipe } from '../../src/pipelines/trainOptions.ts';
import { count, number } from '../options.ts';

/** Options that say which dictionaries to train. Lists are combined: see sweepRecipes. */
export interface SweepFlags {
  readonly architecture: TrainableArchitecture[];
  readonly ratio: number[];
  readonly sparsity: number[];
  readonly k: number[];
  readonly seeds?: number[];
  readonly learningRate?: number;
  readonly hyper: Partial<Hyperparameters>;
  readonly outputHook?: HookKind;
  readonly skip: boolean;
  readonly set?: string;
}

export function withSweepOptions(command: Command): Command {
  return command
    .option('--architecture <list>', `one or more of ${TRAINABLE_ARCHITECTURES.join(', ')}`, list(oneOf(...TRAINABLE_ARCHITECTURES)), ['tied'])
    .option('--ratio <list>', 'features per dimension of the stream, R = F/D', list(number(1e-6, 4096)), [TIED_RECIPE.ratio])
    .option('--sparsity <list>', "sparsity coefficient (tied, untied, gated: of L1; jumprelu: of L0; default: the architecture's)", list(number(0, 1e6)), [])
    .option('--k <list>', "active features per vector (topk, batchtopk, matryoshka; default: the architecture's)", list(count()), [])
    .option('--seeds <list>', "seeds of the dictionaries' starts, one dictionary each (default: --seed)", list(count(0)))
    .option('--learning-rate <step>', "Adam's step size (default: the architecture's)", number(1e-12, 10))
    .option('--hyper <name=value>', `any other setting of the architecture; may be repeated. Names: ${Object.keys(NEUTRAL).join(', ')}`, hyperparameter, {})
    .option('--output-hook <kind>', 'train transcoders, which predict the activations of this kind in the same layer: --hook mlp_in --output-hook mlp_out', oneOf(...HOOK_KINDS))
    .option('--skip', 'transcoders: a linear path beside the features', false)
    .option('--set <name>', 'name of the set; dictionaries are called {layer}-{set} (default: {architecture}-r{ratio})');
}

export function recipesOf(flags: SweepFlags, seed: number): DictionaryRecipe[] {
  const { architecture, ratio, sparsity, k, seeds, learningRate, hyper, outputHook, skip, set } = flags;
  return sweepRecipes({
    architectures: architecture,
    ratios: ratio,
    sparsities: sparsity,
    ks: k,
    seeds: seeds ?? [seed],
    hyper: { ...hyper, ...(learningRate === undefined ? {} : { learningRate }) },
    output: outputHook ?? null,
    skip,
    set: set ?? null,
  });
}

/** 1,2,4 → each parsed. */
function list<T>(each: (text: string) => T): (text: string) => T[] {
  return (text) => text.split(',').map((part) => each(part.trim()));
}

export function oneOf<T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    if (!(choices as readonly string[]).includes(text)) throw new InvalidArgumentError(`expected one of ${choices.join(', ')}.`);
    return text as T;
  };
}

/** warmupSteps=100, or a list for groupShares=0.25,0.25,0.5. */
function hyperparameter(text: string, before: Partial<Hyperparameters>): Partial<Hyperparameters> {
  const match = /^([A-Za-z0-9]+)=(.+)$/.exec(text);
  if (match === null || !Object.hasOwn(NEUTRAL, match[1]!)) throw new InvalidArgumentError(`expected name=value with a name of ${Object.keys(NEUTRAL).join(', ')}.`);
  const [, name, value] = match as unknown as [string, keyof Hyperparameters, string];
  const parse = number(-Number.MAX_VALUE, Number.MAX_VALUE);
  return { ...before, [name]: name === 'groupShares' ? list(parse)(value) : parse(value) };
}

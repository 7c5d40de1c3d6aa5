import { TRAINABLE_ARCHITECTURES, type TrainableArchitecture } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { HookKind } from '../domain/hookPoint.ts';
import type { Hyperparameters } from '../domain/training.ts';
import { trainableArchitecture } from '../dictionary/registry.ts';
import type { DictionaryRecipe } from './trainOptions.ts';

/** Values to combine; a list with one value is no dimension of the sweep. */
export interface Sweep {
  readonly architectures: readonly TrainableArchitecture[];
  readonly ratios: readonly number[];
  /** For the architectures that have a sparsity coefficient; empty = their default. */
  readonly sparsities: readonly number[];
  /** For the architectures that have k; empty = their default. */
  readonly ks: readonly number[];
  readonly seeds: readonly number[];
  readonly hyper: Partial<Hyperparameters>;
  readonly output: HookKind | null;
  readonly skip: boolean;
  /** Name of the set, which each recipe extends by what distinguishes it; null = from architecture and ratio. */
  readonly set: string | null;
}

/** Sizes that serve to ask an architecture which hyper-parameters it reads. */
const ANY_SIZES = { dIn: 64, dOut: 64, nFeatures: 256, batchSize: 256, totalSteps: 1000 };

/**
 * One recipe for every combination, e.g. {tied, topk} × R {2, 4} × k {16, 32} gives tied twice and topk four times: values
 * only multiply the architectures that read them. Names: `{architecture}-r{R}`, then -s{sparsity}, -k{k}, -seed{seed} where
 * more than one value was given.
 */
export function sweepRecipes(sweep: Sweep): DictionaryRecipe[] {
  for (const name of sweep.architectures) {
    if (!(TRAINABLE_ARCHITECTURES as readonly string[]).includes(name)) throw new CallerError('BAD_INPUT', `architecture "${name}": expected ${TRAINABLE_ARCHITECTURES.join(', ')}`);
  }
  const used = new Set<string>();
  const recipes = sweep.architectures.flatMap((architecture) => {
    const readable = new Set(Object.keys(trainableArchitecture(architecture).defaults(ANY_SIZES)));
    const values = (name: 'sparsity' | 'k', list: readonly number[]): readonly (number | undefined)[] => {
      if (list.length === 0 || !readable.has(name)) return [undefined];
      used.add(name);
      return list;
    };
    return sweep.ratios.flatMap((ratio) =>
      values('sparsity', sweep.sparsities).flatMap((sparsity) =>
        values('k', sweep.ks).flatMap((k) =>
          sweep.seeds.map((seed): DictionaryRecipe => {
            const base = sweep.set === null ? `${architecture}-r${ratio}` : [sweep.set, ...(sweep.architectures.length > 1 ? [architecture] : []), ...(sweep.ratios.length > 1 ? [`r${ratio}`] : [])].join('-');
            const parts = [base];
            if (sparsity !== undefined && sweep.sparsities.length > 1) parts.push(`s${plain(sparsity)}`);
            if (k !== undefined && sweep.ks.length > 1) parts.push(`k${k}`);
            if (sweep.seeds.length > 1) parts.push(`seed${seed}`);
            const hyper = { ...sweep.hyper, ...(sparsity === undefined ? {} : { sparsity }), ...(k === undefined ? {} : { k }) };
            return { set: parts.join('-'), architecture, ratio, hyper, output: sweep.output, skip: sweep.skip, seed };
          }),
        ),
      ),
    );
  });
  for (const [name, list] of [['sparsity', sweep.sparsities], ['k', sweep.ks]] as const) {
    if (list.length > 0 && !used.has(name)) throw new CallerError('BAD_INPUT', `${name}: ${sweep.architectures.join(', ')} ${sweep.architectures.length > 1 ? 'have' : 'has'} no such setting`);
  }
  return recipes;
}

/** 8e-3 → 0.008: names hold no "+", and read better so. */
function plain(value: number): string {
  return Number(value.toPrecision(6)).toFixed(10).replace(/\.?0+$/, '');
}

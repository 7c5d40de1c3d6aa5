import { BASELINE_ARCHITECTURES, type BaselineArchitecture, type DictionaryConfig } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { BASELINE_DEFAULTS, baselineSet } from '../../src/pipelines/baselinesOptions.ts';

/** Something to compare: a set of dictionaries that was trained (or imported), one of baselines, or the first on random weights. */
export type Method =
  | { readonly kind: 'trained'; readonly name: string; readonly set: string; readonly what: string }
  | { readonly kind: 'baseline'; readonly name: string; readonly set: string; readonly what: string; readonly baseline: BaselineArchitecture; /** Codes kept of a vector; null = all. */ readonly k: number | null }
  | { readonly kind: 'control'; readonly name: string; readonly set: string; readonly what: string; readonly keepEmbeddings: boolean };

export const DEFAULT_METHODS = ['tied-r4', 'pca', 'ica', 'neuron', 'random', 'control'];
const CONTROLS = ['control', 'control-embedded'];

const BASELINE_WORDS: Readonly<Record<BaselineArchitecture, string>> = {
  pca: 'principal components of the activations, one feature per component (its positive side)',
  ica: 'independent components (FastICA), one feature per component (its positive side, which is the stronger tail on the text it was fitted to)',
  nmf: 'non-negative matrix factorisation',
  neuron: 'the dimensions of the stream themselves, where they are above 0',
  random: 'random directions, where activations point along them',
};

/** The methods a list names, in its order; the first is what the others are compared with. Throws BAD_INPUT. */
export function planMethods(names: readonly string[]): Method[] {
  const wrong = (message: string): never => {
    throw new CallerError('BAD_INPUT', `--methods ${names.join(',')}: ${message}`);
  };
  if (new Set(names).size !== names.length) wrong('expected each method once');
  const trained = names.filter((name) => baselineOf(name) === null && !CONTROLS.includes(name));
  if (trained[0] === undefined) wrong(`expected at least one set of dictionaries, such as tied-r4, beside ${BASELINE_ARCHITECTURES.join(', ')} and ${CONTROLS.join(', ')}`);
  return names.map((name): Method => {
    const baseline = baselineOf(name);
    if (baseline !== null) {
      const { kind, k } = baseline;
      const what = k === null ? BASELINE_WORDS[kind] : `${kind}, of whose codes (both signs) only the ${k} largest of a vector count: as sparse as a dictionary`;
      return { kind: 'baseline', name, set: baselineSet(kind, BASELINE_DEFAULTS.ratio, k), baseline: kind, k, what };
    }
    if (!CONTROLS.includes(name)) return { kind: 'trained', name, set: name, what: `dictionaries {layer}-${name} of the model` };
    const keepEmbeddings = name !== CONTROLS[0];
    return { kind: 'control', name, set: trained[0], keepEmbeddings, what: `dictionaries trained as ${trained[0]} on a copy of the model with random weights${keepEmbeddings ? ', its embeddings kept' : ''}` };
  });
}

/** `pca`, or `pca-k32` for the variant that keeps the 32 largest codes; null for another name. */
function baselineOf(name: string): { readonly kind: BaselineArchitecture; readonly k: number | null } | null {
  const [, word, k] = /^([a-z]+)(?:-k([1-9]\d*))?$/.exec(name) ?? [];
  const kind = BASELINE_ARCHITECTURES.find((one) => one === word);
  return kind === undefined ? null : { kind, k: k === undefined ? null : Number(k) };
}

/**
 * How many of a dictionary's features are asked for, when `wanted` are wanted. Signed directions are pairs j, j + F/2: of these one
 * feature per component, the first half, so that no component counts twice and none by its weak side where the sign was fixed.
 */
export function askedOf({ architecture, nFeatures, k }: Pick<DictionaryConfig, 'architecture' | 'nFeatures' | 'k'>, wanted: number | 'all'): number | 'all' {
  const signed = architecture === 'pca' || architecture === 'ica' || ((architecture === 'neuron' || architecture === 'random') && k !== null);
  if (!signed) return wanted;
  return wanted === 'all' ? nFeatures / 2 : Math.min(wanted, nFeatures / 2);
}

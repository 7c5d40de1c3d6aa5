import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { FeatureAnalysis } from '../domain/feature.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import type { CircuitOptions } from './circuitOptions.ts';
import { sampledPlaces } from './circuitSampling.ts';
import type { CircuitNode, Context } from './circuitTarget.ts';

/** A place in the text where a feature is active. */
export interface Place {
  readonly row: number;
  readonly position: number;
  readonly activation: number;
}

/** What is kept of one dictionary's feature records. */
interface Known {
  /** Where each feature's top exemplars peak, strongest first. */
  readonly peaks: ReadonlyMap<number, readonly Place[]>;
  /** Greatest activation [F]. */
  readonly greatest: Float64Array;
  /** Mean activation over all tokens, active or not [F]. */
  readonly means: Float32Array;
}

export interface TextInput {
  readonly model: SubjectModel;
  readonly dictionaries: readonly DictionaryWeights[];
  /** Path of each dictionary's feature records, by name, as analyse wrote them. */
  readonly features: ReadonlyMap<string, string>;
  /** The token file analyse read. */
  readonly tokens: TokenRows;
  /** The rows of it that analyse read; all when left out. Contexts are drawn from them. */
  readonly rows?: { readonly from: number; readonly to: number };
  readonly artefacts: Artefacts;
}

type TextOptions = Pick<CircuitOptions, 'contexts' | 'contextsFrom' | 'contextTokens' | 'seed' | 'batchTokens'>;

/** The texts in which features are measured. Reads each dictionary's feature records once, on first use. */
export class CircuitTexts {
  readonly #input: TextInput;
  readonly #options: TextOptions;
  readonly #known = new Map<string, Promise<Known>>();
  #sampled: Promise<ReadonlyMap<string, ReadonlyMap<number, readonly Place[]>>> | undefined;

  constructor(input: TextInput, options: TextOptions) {
    this.#input = input;
    this.#options = options;
  }

  /** Contexts of a feature, each ending where it is active; fewer, or none, when it is rarely active. */
  async of({ dictionary, index }: CircuitNode): Promise<Context[]> {
    const { tokens } = this.#input;
    const places = this.#options.contextsFrom === 'top' ? (await this.#read(dictionary)).peaks.get(index) : (await this.#sample()).get(dictionary)?.get(index);
    const chosen = places ?? [];
    const rows = await tokens.read(chosen.map(({ row }) => row));
    return chosen.map(({ position, activation }, i) => ({ ids: contextBefore(rows, i * tokens.cols, position, this.#options.contextTokens), above: activation / 2 }));
  }

  /** Mean activation of each feature over all tokens analysed, [F]. */
  async means(dictionary: string): Promise<Float32Array> {
    return (await this.#read(dictionary)).means;
  }

  #read(dictionary: string): Promise<Known> {
    let known = this.#known.get(dictionary);
    if (known === undefined) this.#known.set(dictionary, (known = this.#load(dictionary)));
    return known;
  }

  async #load(dictionary: string): Promise<Known> {
    const { features, artefacts, dictionaries } = this.#input;
    const path = features.get(dictionary);
    const weights = dictionaries.find(({ config }) => config.name === dictionary);
    if (path === undefined || weights === undefined) throw new CallerError('NOT_FOUND', `dictionary ${dictionary} has no analysis: run analyse first`);
    const known = { peaks: new Map<number, Place[]>(), greatest: new Float64Array(weights.config.nFeatures), means: new Float32Array(weights.config.nFeatures) };
    for await (const feature of artefacts.readRecords<FeatureAnalysis>(path)) {
      const top = feature.exemplars.filter(({ kind }) => kind === 'top').sort((a, b) => a.rank - b.rank).slice(0, this.#options.contexts);
      known.peaks.set(feature.index, top.map(({ row, start, activations, maxActivation }) => ({ row, position: start + activations.indexOf(maxActivation), activation: maxActivation })));
      known.greatest[feature.index] = feature.maxActivation;
      known.means[feature.index] = feature.density * (feature.meanActivation ?? 0);
    }
    return known;
  }

  /** One pass over the text for all dictionaries, on first use. */
  #sample(): Promise<ReadonlyMap<string, ReadonlyMap<number, readonly Place[]>>> {
    this.#sampled ??= (async () => {
      const greatest = new Map<string, Float64Array>();
      for (const { config } of this.#input.dictionaries) greatest.set(config.name, (await this.#read(config.name)).greatest);
      return sampledPlaces(this.#input, greatest, this.#options);
    })();
    return this.#sampled;
  }
}

/** The tokens of a row up to and including `position`: all, or the row's first one and the last ones. */
export function contextBefore(rows: Int32Array, from: number, position: number, most: number): Int32Array {
  const text = rows.slice(from, from + position + 1);
  return text.length <= most ? text : Int32Array.of(text[0], ...text.subarray(text.length - most + 1));
}

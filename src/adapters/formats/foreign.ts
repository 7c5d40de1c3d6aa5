import type { DictionaryArchitecture, DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError } from '../../domain/errors.ts';
import type { HookPoint } from '../../domain/hookPoint.ts';

/** A tensor of any foreign file, as float32, row-major. */
export interface ForeignTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** One dictionary as a foreign file gives it, before it is placed in a model of ours. Checked by `checkedForeign`. */
export interface ForeignDictionary {
  /** 'saelens' | 'sparsify' | 'dictionary_learning' | 'gemma-scope' | 'learned-dicts' */
  readonly format: string;
  readonly architecture: DictionaryArchitecture;
  /** In the form of DictionaryWeights: centring folded, a shared-weight gate as thresholds, rows normalised where the original does so at use. */
  readonly parameters: Omit<DictionaryWeights, 'config'>;
  readonly k: number | null;
  readonly dIn: number;
  readonly dOut: number;
  readonly nFeatures: number;
  /** Null: the file does not say, or says something we have no name for; `said` is what it says, in words for an error message. */
  readonly hook: { readonly point: HookPoint | null; readonly output: HookPoint | null; readonly said: string };
  /** Whether it predicts other activations than it reads; left out: when `hook.output` is not null. */
  readonly transcoder?: boolean;
  /** The language model as the file names it. */
  readonly model: string | null;
  /** x is divided by this before encoding; the meaning of DictionaryConfig. */
  readonly inputScale: number;
  readonly outputScale: number;
  /**
   * Whether it was trained on x − mean(x), which is what TransformerLens' `center_writing_weights` makes of a LayerNorm
   * model's stream; null: the file does not say. Left out: trained on the values of the Hugging Face implementation.
   */
  readonly centred?: boolean | null;
  /** What was inferred, folded or dropped, one sentence each. */
  readonly notes: readonly string[];
  /** Tells the dictionaries of one folder apart: a file's stem or an index in a list. */
  readonly label: string;
}

export interface ForeignReadOptions {
  /** Most bytes one archive may unpack to; the default of the reader when left out. */
  readonly maxBytes?: number;
  /** Factor that activations were multiplied by in training, for formats that may leave it out of the weights (SAELens). */
  readonly normFactor?: number;
}

/** One foreign format; each file of this folder that reads one exports one of these. */
export interface ForeignFormat {
  readonly name: string;
  /** Whether a folder is of this format. `files` are the names in it (not below it). Reads at most a small config. */
  recognises(files: readonly string[], folder: string): Promise<boolean>;
  /** All dictionaries of a folder. Throws BAD_DICTIONARY when a file is damaged, hostile or says something we do not know. */
  read(folder: string, options?: ForeignReadOptions): Promise<readonly ForeignDictionary[]>;
  /** Writes a folder that the original library loads with the same codes and reconstructions; UNSUPPORTED where it has no such thing. */
  write?(folder: string, weights: DictionaryWeights): Promise<void>;
}

/** The error of a foreign file: `what` says what was expected, what was found and what to try. */
export function badForeign(path: string, what: string, cause?: unknown): CallerError {
  return new CallerError('BAD_DICTIONARY', `${path}: ${what}`, { cause });
}

/**
 * The dictionary, once its tensors have the lengths its widths say, every number is finite, thresholds are at least 0, k is in
 * 1…F and the scales are positive. Throws BAD_DICTIONARY otherwise.
 * @param path what an error calls the file.
 */
export function checkedForeign(path: string, found: ForeignDictionary): ForeignDictionary {
  const { dIn: D, dOut, nFeatures: F, parameters, k } = found;
  for (const [name, size] of Object.entries({ dIn: D, dOut, nFeatures: F })) {
    if (!Number.isSafeInteger(size) || size < 1) throw badForeign(path, `${name} must be a positive integer, found ${size}`);
  }
  const lengths = { encoder: F * D, encoderBias: F, threshold: F, decoder: F * dOut, decoderBias: dOut, skip: dOut * D };
  for (const [name, length] of Object.entries(lengths)) {
    const data = parameters[name as keyof typeof lengths];
    if (data === null) continue;
    if (data.length !== length) throw badForeign(path, `${name} has ${data.length} numbers, expected ${length} for ${F} features of width ${D} to ${dOut}`);
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw badForeign(path, `${name} holds ${data[at]} at element ${at}; expected finite numbers. Its training diverged or the file is damaged: fetch it again or take an earlier checkpoint`);
  }
  const negative = parameters.threshold?.findIndex((value) => value < 0) ?? -1;
  if (negative >= 0) throw badForeign(path, `threshold of feature ${negative} is ${parameters.threshold![negative]}, expected at least 0`);
  if (k !== null && !(Number.isSafeInteger(k) && k >= 1 && k <= F)) throw badForeign(path, `k is ${k}, expected a whole number from 1 to ${F}`);
  for (const [name, scale] of Object.entries({ inputScale: found.inputScale, outputScale: found.outputScale })) {
    if (!(Number.isFinite(scale) && scale > 0)) throw badForeign(path, `${name} is ${scale}, expected a positive number`);
  }
  return found;
}

import { badForeign, type ForeignDictionary } from './foreign.ts';
import { biasWithCentre, rowNorms, scaledRows } from './linearFolds.ts';
import { asKind, describe, numberOf, type PickleObject, type PickleValue } from './pickleValues.ts';
import type { TorchFile } from './torch.ts';

/** What one entry's object says. */
export type ReadLearnedDict = Pick<ForeignDictionary, 'architecture' | 'parameters' | 'k' | 'dIn' | 'nFeatures' | 'notes'>;

/** The original clamps norms to this. */
const LEAST_NORM = 1e-8;
const SIZES = ['n_feats', 'activation_size'];
const MODULE = 'autoencoders.learned_dict';

interface LearnedDictClass {
  /** Fields an object must have and may have; others are an error. */
  readonly required: readonly string[];
  readonly optional: readonly string[];
  read(fields: Fields): Promise<ReadLearnedDict>;
}

const CLASSES: Readonly<Record<string, LearnedDictClass>> = {
  /** c = relu(ê·m(x) + b), x̂ = m⁻¹(c·d̂): d̂ the rows at unit norm, ê these or (norm_encoder false) the rows as they are, m the centring. */
  [`${MODULE}.TiedSAE`]: {
    required: ['encoder', 'encoder_bias', 'norm_encoder'],
    optional: [...SIZES, 'center_trans', 'center_rot', 'center_scale'],
    async read(fields) {
      const rows = await fields.matrix('encoder');
      const { F, D } = rows;
      const unit = unitRows(rows.data, D);
      const normed = fields.value('norm_encoder');
      if (typeof normed !== 'boolean') throw fields.wrong('norm_encoder', 'True or False');
      const trans = (await fields.vector('center_trans', D)) ?? new Float32Array(D);
      const rot = await fields.square('center_rot', D);
      const scale = notOnes(await fields.vector('center_scale', D));
      // m(x) = s∘R(x − t), and back by Rᵀ(y/s) + t: with R as the original uses it, orthogonal or not.
      const encoder = throughRotation(normed ? unit : rows.data, D, scale, rot);
      const decoder = throughRotation(unit, D, scale?.map((s) => 1 / s) ?? null, rot);
      const bias = (await fields.vector('encoder_bias', F))!;
      const tied = encoder.every((value, at) => value === decoder[at]) && rowNorms(decoder, D).every((norm) => Math.abs(norm - 1) < 1e-4);
      return {
        architecture: tied ? 'tied' : 'untied',
        parameters: { encoder, encoderBias: biasWithCentre(bias, encoder, trans), threshold: null, decoder, decoderBias: trans, skip: null },
        k: null, dIn: D, nFeatures: F,
        notes: [...(trans.some((t) => t !== 0) ? ['its centring is folded into the biases'] : []), ...(rot === null && scale === null ? [] : ['its rotation and scaling are folded into encoder and decoder']), ...(tied ? [] : ['encoder and decoder differ, so it counts as untied'])],
      };
    },
  },
  /** c = relu(E·x + b), x̂ = c·d̂ with d̂ the decoder's rows at unit norm. */
  [`${MODULE}.UntiedSAE`]: {
    required: ['encoder', 'decoder', 'encoder_bias'],
    optional: SIZES,
    async read(fields) {
      const { data, F, D } = await fields.matrix('encoder');
      const decoder = await fields.matrix('decoder');
      if (decoder.F !== F || decoder.D !== D) throw fields.wrong('decoder', `the [${F}, ${D}] of its encoder`);
      return plain('untied', data, (await fields.vector('encoder_bias', F))!, unitRows(decoder.data, D), D, null);
    },
  },
  /** c = relu(E·x + b), x̂ = c·E: random directions to compare with. */
  [`${MODULE}.RandomDict`]: {
    required: ['encoder', 'encoder_bias'],
    optional: SIZES,
    async read(fields) {
      const { data, F, D } = await fields.matrix('encoder');
      return plain('random', data, (await fields.vector('encoder_bias', F))!, data.slice(), D, null);
    },
  },
  /** c = relu of the k largest of E·x, x̂ = c·E. */
  'autoencoders.topk_encoder.TopKLearnedDict': {
    required: ['dict', 'sparsity'],
    optional: SIZES,
    async read(fields) {
      const { data, F, D } = await fields.matrix('dict');
      const k = numberOf(fields.value('sparsity'));
      if (k === undefined) throw fields.wrong('sparsity', 'a number');
      return plain('topk', data, new Float32Array(F), data.slice(), D, k);
    },
  },
};

/** Of the same project, so that a list that has one is refused for what it is; none is a ReLU dictionary. */
const OTHERS = ['Identity', 'IdentityPositive', 'IdentityReLU', 'ReverseSAE', 'AddedNoise', 'Rotation'].map((name) => `${MODULE}.${name}`);

/** Classes that may occur in a file; all are read as records of their fields. */
export const LEARNED_DICT_CLASSES: readonly string[] = [...Object.keys(CLASSES), ...OTHERS];

/** The dictionary of one object of the list. Throws BAD_DICTIONARY for classes and fields we do not know. */
export async function readLearnedDict(file: TorchFile, object: PickleObject, where: string): Promise<ReadLearnedDict> {
  const known = Object.hasOwn(CLASSES, object.name) ? CLASSES[object.name]! : undefined;
  if (known === undefined) throw badForeign(where, `is ${describe(object)}, whose codes are no thresholded linear map; expected one of ${Object.keys(CLASSES).join(', ')}. Take it out of the list`);
  const state = asKind(object.state, 'dict');
  if (state === undefined || object.args.length > 0) throw badForeign(where, `${describe(object)} has no plain fields; the file is damaged, fetch it again`);
  const names = [...state.entries.keys()].map(String);
  const unknown = names.filter((name) => !known.required.includes(name) && !known.optional.includes(name));
  const missing = known.required.filter((name) => !names.includes(name));
  if (unknown.length > 0 || missing.length > 0) throw badForeign(where, `${describe(object)} has fields ${names.slice(0, 20).join(', ')}; expected ${known.required.join(', ')} and possibly ${known.optional.join(', ')}`);
  const fields = new Fields(file, state.entries, where);
  const read = await known.read(fields);
  const sizes = { n_feats: read.nFeatures, activation_size: read.dIn };
  for (const [name, size] of Object.entries(sizes)) if (names.includes(name) && numberOf(fields.value(name)) !== size) throw fields.wrong(name, `${size}, as its tensors have`);
  return { ...read, notes: [`class ${object.name}`, ...read.notes, ...fields.notes] };
}

/** The fields of one object, each read with a check of its shape. */
class Fields {
  readonly notes: string[] = [];
  readonly #file: TorchFile;
  readonly #entries: ReadonlyMap<PickleValue, PickleValue>;
  readonly #where: string;

  constructor(file: TorchFile, entries: ReadonlyMap<PickleValue, PickleValue>, where: string) {
    this.#file = file;
    this.#entries = entries;
    this.#where = where;
  }

  value(name: string): PickleValue | undefined {
    return this.#entries.get(name);
  }

  wrong(name: string, expected: string): Error {
    return badForeign(this.#where, `${name} is ${describe(this.value(name))}, expected ${expected}`);
  }

  /** [F, D]. */
  async matrix(name: string): Promise<{ data: Float32Array; F: number; D: number }> {
    const { data, shape } = await this.#tensor(name);
    const [F, D] = shape;
    if (shape.length !== 2 || F === 0 || D === 0) throw badForeign(this.#where, `${name} has shape [${shape.join(', ')}], expected [features, width]`);
    return { data, F: F!, D: D! };
  }

  /** Null where there is no such field. */
  async vector(name: string, length: number): Promise<Float32Array | null> {
    return this.#entries.has(name) ? await this.#shaped(name, [length]) : null;
  }

  /** Null where there is no such field, or it is the identity. */
  async square(name: string, D: number): Promise<Float32Array | null> {
    if (!this.#entries.has(name)) return null;
    const data = await this.#shaped(name, [D, D]);
    return data.every((value, at) => value === (at % (D + 1) === 0 ? 1 : 0)) ? null : data;
  }

  async #shaped(name: string, expected: readonly number[]): Promise<Float32Array> {
    const { data, shape } = await this.#tensor(name);
    if (shape.join() !== expected.join()) throw badForeign(this.#where, `${name} has shape [${shape.join(', ')}], expected [${expected.join(', ')}]`);
    return data;
  }

  async #tensor(name: string): Promise<{ data: Float32Array; shape: readonly number[] }> {
    const tensor = await this.#file.tensor(this.value(name), name);
    if (/^(u?int|bool)/.test(tensor.type)) throw badForeign(this.#where, `${name} is ${tensor.type}, expected float32, float16, bfloat16 or float64`);
    if (tensor.type === 'float64') this.notes.push(`${name}: float64 rounded to float32`);
    return tensor;
  }
}

function plain(architecture: ReadLearnedDict['architecture'], encoder: Float32Array, encoderBias: Float32Array, decoder: Float32Array, D: number, k: number | null): ReadLearnedDict {
  return { architecture, parameters: { encoder, encoderBias, threshold: null, decoder, decoderBias: new Float32Array(D), skip: null }, k, dIn: D, nFeatures: encoderBias.length, notes: [] };
}

function notOnes(scale: Float32Array | null): Float32Array | null {
  return scale?.every((s) => s === 1) ? null : scale;
}

function unitRows(rows: Float32Array, D: number): Float32Array {
  return scaledRows(rows, rowNorms(rows, D).map((norm) => 1 / Math.max(norm, LEAST_NORM)));
}

/** Rows (r∘s)·R, [n, D]: what reads x as r reads s∘(R·x). Null factors are identities. Sums in double precision. */
function throughRotation(rows: Float32Array, D: number, s: Float32Array | null, R: Float32Array | null): Float32Array {
  const scaled = s === null ? rows : rows.map((value, at) => value * s[at % D]!);
  if (R === null) return scaled === rows ? rows.slice() : scaled;
  const out = new Float32Array(rows.length);
  const sum = new Float64Array(D);
  for (let at = 0; at < rows.length; at += D) {
    sum.fill(0);
    for (let c = 0; c < D; c++) {
      const r = scaled[at + c]!;
      if (r !== 0) for (let u = 0; u < D; u++) sum[u]! += r * R[c * D + u]!;
    }
    out.set(sum, at);
  }
  return out;
}

import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CallerError } from '../../domain/errors.ts';
import { badForeign, checkedForeign, type ForeignDictionary, type ForeignFormat } from './foreign.ts';
import { fromModulePath } from './hookNames.ts';
import { readJsonObject, type JsonObject } from './jsonObject.ts';
import { biasWithCentre } from './linearFolds.ts';
import { readSafetensors } from './safetensors.ts';

const CONFIG = 'cfg.json';
const WEIGHTS = 'sae.safetensors';

const UNDERSTOOD: ReadonlySet<string> = new Set(['activation', 'expansion_factor', 'num_latents', 'k', 'skip_connection', 'transcode', 'd_in', 'signed']);
/** normalize_decoder and multi_topk act in training only: the saved rows are already normalised. */
const IRRELEVANT: readonly string[] = ['normalize_decoder', 'multi_topk'];

/**
 * EleutherAI's sparsify: {hook point}/cfg.json and sae.safetensors, or a folder of such folders, beside which config.json names
 * the model. encode: the k largest of relu(E(x − b_dec) + b), without centring in a transcoder; decode: c·W_dec + b_dec (+ x·W_skipᵀ).
 * W_dec is [n, d] already. The hook point is the folder's name, a Hugging Face module path.
 */
export const sparsify: ForeignFormat = {
  name: 'sparsify',
  recognises: async (files, folder) => (files.includes(CONFIG) && files.includes(WEIGHTS)) || (!files.includes(CONFIG) && (await hookFolders(folder)).length > 0),
  async read(folder) {
    const folders = (await readJsonObject(join(folder, CONFIG))) !== null ? [folder] : (await hookFolders(folder)).map((name) => join(folder, name));
    if (folders.length === 0) throw badForeign(folder, `has no ${CONFIG} and ${WEIGHTS}, and no folder in it has`);
    const found: ForeignDictionary[] = [];
    for (const one of folders) found.push(await readOne(one));
    return found;
  },
};

/** Names of the folders in `folder` that hold a dictionary, by layer. */
async function hookFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const files = await readdir(join(folder, entry.name));
    if (files.includes(CONFIG) && files.includes(WEIGHTS)) names.push(entry.name);
  }
  return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

async function readOne(folder: string): Promise<ForeignDictionary> {
  const cfg = await readJsonObject(join(folder, CONFIG));
  if (cfg === null) throw badForeign(folder, `has no ${CONFIG}`);
  cfg.refuseUnknown(new Set([...UNDERSTOOD, ...IRRELEVANT]));
  const activation = cfg.text('activation', 'topk');
  if (activation !== 'topk') throw new CallerError('UNSUPPORTED', `${cfg.where}: activation ${activation}: ${activation === 'groupmax' ? 'the largest of each of k groups is not the k largest' : 'unknown to us'}; expected topk`);
  if (cfg.boolean('signed', false)) throw new CallerError('UNSUPPORTED', `${cfg.where}: signed: codes below 0 have no place in our form`);
  const D = cfg.integer('d_in', 1);
  // The library's own rule, with its default of 32.
  const F = cfg.integer('num_latents', 0, 0) || D * cfg.integer('expansion_factor', 1, 32);
  const k = cfg.integer('k', 1, 32);
  const transcode = cfg.boolean('transcode', false);
  const skip = cfg.boolean('skip_connection', false);

  const { tensors, dtypes } = await readSafetensors(join(folder, WEIGHTS));
  const shapes: Readonly<Record<string, readonly number[]>> = { 'encoder.weight': [F, D], 'encoder.bias': [F], W_dec: [F, D], b_dec: [D], ...(skip ? { W_skip: [D, D] } : {}) };
  const where = join(folder, WEIGHTS);
  const take = (name: string): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw badForeign(where, `expected the tensors ${Object.keys(shapes).join(', ')}; ${name} is missing, found ${[...tensors.keys()].join(', ')}`);
    if (tensor.shape.join() !== shapes[name]!.join()) throw badForeign(where, `${name} has shape [${tensor.shape.join(', ')}], expected [${shapes[name]!.join(', ')}] by ${CONFIG}`);
    return tensor.data;
  };
  const unknown = [...tensors.keys()].filter((name) => !Object.hasOwn(shapes, name));
  if (unknown.length > 0) throw badForeign(where, `tensors ${unknown.join(', ')} are not of the dictionary that ${CONFIG} describes (${Object.keys(shapes).join(', ')})`);
  const encoder = take('encoder.weight');
  const decoderBias = take('b_dec');
  const bias = take('encoder.bias');
  // With several seeds the dictionaries lie one folder deeper.
  const name = /^seed\d+$/.test(basename(folder)) ? basename(dirname(folder)) : basename(folder);
  return checkedForeign(folder, {
    format: 'sparsify',
    architecture: 'topk',
    parameters: { encoder, encoderBias: transcode ? bias : biasWithCentre(bias, encoder, decoderBias), threshold: null, decoder: take('W_dec'), decoderBias, skip: skip ? take('W_skip') : null },
    k, dIn: D, dOut: D, nFeatures: F,
    hook: { point: fromModulePath(name, transcode ? 'input' : 'output'), output: transcode ? fromModulePath(name, 'output') : null, said: transcode ? `what goes into and comes out of ${name}` : name },
    transcoder: transcode,
    model: await modelOf(folder),
    inputScale: 1,
    outputScale: 1,
    notes: [...dtypes.values()].includes('F64') ? ['float64 tensors were rounded to float32'] : [],
    label: name,
  });
}

/** config.json of the training lies beside the hook points' folders. */
async function modelOf(folder: string): Promise<string | null> {
  const training: JsonObject | null = await readJsonObject(join(dirname(folder), 'config.json'));
  const model = training?.fields['model'];
  return typeof model === 'string' ? model : null;
}

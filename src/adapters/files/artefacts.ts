import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DictionaryConfig, DictionaryQuality, DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError, messageOf } from '../../domain/errors.ts';
import type { Artefacts } from '../../ports/Artefacts.ts';
import { appendRecords, readRecords, writeRecords } from './records.ts';
import { BadTensorFile, readTensorFile, writeTensorFile, type Tensor } from './tensorFile.ts';
import { syncFolder, writeFully, writeWholeFile } from './wholeFile.ts';

const CONFIG = 'cfg.json';
const WEIGHTS = 'weights.safetensors';
/** From here on float16 rounds to infinity. */
const FLOAT16_LIMIT = 65_520;

/** The Artefacts port on a local file system. */
export function fileArtefacts(): Artefacts {
  return { writeDictionary, readDictionary, writeRecords, appendRecords, readRecords, writeTensors, readTensors, remove };
}

/**
 * Folder of a dictionary: weights.safetensors with `encoder` [F, D], `encoder_bias` [F], `decoder` [F, dOut], `decoder_bias`
 * [dOut], where there are any `threshold` [F] and `skip` [dOut, D], and cfg.json: DictionaryConfig and `quality`. `weightsHash` is the sha-256 of weights.safetensors, whose metadata
 * repeats what the numbers mean nothing without (architecture, inputScale, hook point), so it covers those too.
 */
async function writeDictionary(dir: string, weights: DictionaryWeights, quality: DictionaryQuality | null): Promise<DictionaryWeights> {
  const { dIn: D, dOut, nFeatures: F } = weights.config;
  const building = `${dir}.${process.pid}.tmp`;
  await rm(building, { recursive: true, force: true });
  await mkdir(building, { recursive: true });
  const tensors = new Map<string, Tensor>([
    ['encoder', { shape: [F, D], data: weights.encoder }],
    ['encoder_bias', { shape: [F], data: weights.encoderBias }],
    ['decoder', { shape: [F, dOut], data: weights.decoder }],
    ['decoder_bias', { shape: [dOut], data: weights.decoderBias }],
  ]);
  if (weights.threshold !== null) tensors.set('threshold', { shape: [F], data: weights.threshold });
  if (weights.skip !== null) tensors.set('skip', { shape: [dOut, D], data: weights.skip });
  for (const [name, { data }] of tensors) checkFinite(name, data, dir);
  const weightsHash = await writeTensorFile(join(building, WEIGHTS), tensors, meaning(weights.config));
  const config: DictionaryConfig = { ...weights.config, weightsHash };
  await writeWholeFile(join(building, CONFIG), (file) => writeFully(file, Buffer.from(`${JSON.stringify({ ...config, quality }, null, 2)}\n`)));
  await replaceFolder(building, dir);
  return { ...weights, config };
}

async function readDictionary(dir: string): Promise<{ weights: DictionaryWeights; quality: DictionaryQuality | null }> {
  const path = join(dir, CONFIG);
  let parsed: Partial<DictionaryConfig> & { quality?: DictionaryQuality | null };
  try {
    parsed = JSON.parse(await readFile(path, 'utf8')) as typeof parsed;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw bad(missing ? `${path} does not exist: expected a folder with ${CONFIG} and ${WEIGHTS}, as \`train\` writes` : `${path} cannot be read: ${messageOf(cause)}`, cause);
  }
  if (parsed.formatVersion !== 1) throw bad(`${path}: expected formatVersion 1, found ${JSON.stringify(parsed.formatVersion)}; train the dictionary again or use the program version that wrote it`);
  const { quality = null, ...rest } = parsed;
  const config = withDefaults(rest as DictionaryConfig);
  for (const key of ['dIn', 'dOut', 'nFeatures'] as const) {
    if (!Number.isSafeInteger(config[key]) || config[key] < 1) throw bad(`${path}: ${key} must be a positive integer, found ${JSON.stringify(config[key])}`);
  }
  for (const key of ['inputScale', 'outputScale'] as const) {
    if (!(Number.isFinite(config[key]) && config[key] > 0)) throw bad(`${path}: ${key} must be a positive number, found ${JSON.stringify(config[key])}`);
  }
  if (config.k !== null && (!Number.isSafeInteger(config.k) || config.k < 1 || config.k > config.nFeatures)) throw bad(`${path}: k must be null or a whole number from 1 to ${config.nFeatures}, found ${JSON.stringify(config.k)}`);
  const file = await readTensorFile(join(dir, WEIGHTS)).catch((error: unknown) => {
    throw error instanceof BadTensorFile ? bad(error.message, error) : error;
  });
  if (file === null) throw bad(`${join(dir, WEIGHTS)} does not exist`);
  const { dIn: D, dOut, nFeatures: F } = config;
  const take = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = file.tensors.get(name);
    if (tensor === undefined) throw bad(`${dir}: ${WEIGHTS} has no tensor ${name}; it has ${[...file.tensors.keys()].join(', ')}`);
    if (tensor.shape.join() !== shape.join()) throw bad(`${dir}: tensor ${name} has shape [${tensor.shape.join(', ')}], expected [${shape.join(', ')}] by ${CONFIG}`);
    checkFinite(name, tensor.data, dir);
    return tensor.data;
  };
  const weights: DictionaryWeights = {
    config,
    encoder: take('encoder', [F, D]),
    encoderBias: take('encoder_bias', [F]),
    threshold: file.tensors.has('threshold') ? take('threshold', [F]) : null,
    decoder: take('decoder', [F, dOut]),
    decoderBias: take('decoder_bias', [dOut]),
    skip: file.tensors.has('skip') ? take('skip', [dOut, D]) : null,
  };
  if (file.hash !== config.weightsHash) throw bad(`${dir}: ${WEIGHTS} has sha-256 ${file.hash}, ${CONFIG} says ${config.weightsHash}; the two files do not belong together`);
  return { weights, quality };
}

async function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>, metadata?: Readonly<Record<string, string>>, dtype: 'float32' | 'float16' = 'float32'): Promise<void> {
  if (dtype === 'float16') {
    for (const [name, { data }] of tensors) {
      const at = data.findIndex((value) => !(Math.abs(value) < FLOAT16_LIMIT));
      if (at >= 0) throw new CallerError('BAD_INPUT', `${path}: tensor ${name} holds ${data[at]}, beyond what float16 holds (65504); keep it as float32`);
    }
  }
  await writeTensorFile(path, tensors, metadata, dtype);
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Null when there is no file; throws STALE_OUTPUT when it is damaged. */
async function readTensors(path: string): Promise<{ tensors: Map<string, Tensor>; metadata: Record<string, string> } | null> {
  const file = await readTensorFile(path).catch((error: unknown) => {
    if (!(error instanceof BadTensorFile)) throw error;
    throw new CallerError('STALE_OUTPUT', `${error.message}; delete the run's folder and run the stage again`, { cause: error });
  });
  return file === null ? null : { tensors: file.tensors, metadata: file.metadata };
}

function meaning(config: DictionaryConfig): Record<string, string> {
  const { architecture, inputScale, outputScale, model, hookPoint, outputHookPoint, k } = config;
  return {
    architecture, input_scale: String(inputScale), model, hook_point: hookPoint,
    ...(k === null ? {} : { k: String(k) }),
    ...(outputHookPoint === null ? {} : { output_hook_point: outputHookPoint, output_scale: String(outputScale) }),
  };
}

/** Folders written before transcoders and k existed lack these keys; what they mean is what they then were. */
function withDefaults(config: DictionaryConfig): DictionaryConfig {
  return { ...config, outputHookPoint: config.outputHookPoint ?? null, dOut: config.dOut ?? config.dIn, k: config.k ?? null, outputScale: config.outputScale ?? config.inputScale };
}

function checkFinite(name: string, data: Float32Array, dir: string): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw bad(`${dir}: tensor ${name} holds ${data[at]} at element ${at}; expected finite numbers. Training may have diverged: lower the learning rate`);
}

function bad(message: string, cause?: unknown): CallerError {
  return new CallerError('BAD_DICTIONARY', message, { cause });
}

/** Puts the folder `from` in the place of `to`. */
async function replaceFolder(from: string, to: string): Promise<void> {
  const old = `${to}.${process.pid}.old.tmp`;
  await rm(old, { recursive: true, force: true });
  if (await stat(to).then(() => true, () => false)) await rename(to, old);
  await rename(from, to);
  await syncFolder(dirname(to));
  await rm(old, { recursive: true, force: true });
}

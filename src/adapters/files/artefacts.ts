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

/** The Artefacts port on a local file system. */
export function fileArtefacts(): Artefacts {
  return { writeDictionary, readDictionary, writeRecords, appendRecords, readRecords, writeTensors, readTensors };
}

/**
 * Folder of a dictionary: weights.safetensors with `encoder` [F, D], `encoder_bias` [F], `decoder` [F, D], `decoder_bias`
 * [D], and cfg.json: DictionaryConfig and `quality`. `weightsHash` is the sha-256 of weights.safetensors, whose metadata
 * repeats what the numbers mean nothing without (architecture, inputScale, hook point), so it covers those too.
 */
async function writeDictionary(dir: string, weights: DictionaryWeights, quality: DictionaryQuality | null): Promise<DictionaryWeights> {
  const { dIn: D, nFeatures: F } = weights.config;
  const building = `${dir}.${process.pid}.tmp`;
  await rm(building, { recursive: true, force: true });
  await mkdir(building, { recursive: true });
  const tensors = new Map<string, Tensor>([
    ['encoder', { shape: [F, D], data: weights.encoder }],
    ['encoder_bias', { shape: [F], data: weights.encoderBias }],
    ['decoder', { shape: [F, D], data: weights.decoder }],
    ['decoder_bias', { shape: [D], data: weights.decoderBias }],
  ]);
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
  const config = rest as DictionaryConfig;
  for (const key of ['dIn', 'nFeatures'] as const) {
    if (!Number.isSafeInteger(config[key]) || config[key] < 1) throw bad(`${path}: ${key} must be a positive integer, found ${JSON.stringify(config[key])}`);
  }
  if (!(Number.isFinite(config.inputScale) && config.inputScale > 0)) throw bad(`${path}: inputScale must be a positive number, found ${JSON.stringify(config.inputScale)}`);
  const file = await readTensorFile(join(dir, WEIGHTS)).catch((error: unknown) => {
    throw error instanceof BadTensorFile ? bad(error.message, error) : error;
  });
  if (file === null) throw bad(`${join(dir, WEIGHTS)} does not exist`);
  const { dIn: D, nFeatures: F } = config;
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
    decoder: take('decoder', [F, D]),
    decoderBias: take('decoder_bias', [D]),
  };
  if (file.hash !== config.weightsHash) throw bad(`${dir}: ${WEIGHTS} has sha-256 ${file.hash}, ${CONFIG} says ${config.weightsHash}; the two files do not belong together`);
  return { weights, quality };
}

async function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>, metadata?: Readonly<Record<string, string>>): Promise<void> {
  await writeTensorFile(path, tensors, metadata);
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
  return { architecture: config.architecture, input_scale: String(config.inputScale), model: config.model, hook_point: config.hookPoint };
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

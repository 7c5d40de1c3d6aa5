import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { CallerError } from '../../domain/errors.ts';
import { readLanguageModel } from '../../lm/registry.ts';
import { TOKENIZER_FILES } from '../../lm/tokenizerFiles.ts';
import type { SubjectModel } from '../../ports/SubjectModel.ts';
import { chooseDevice } from './chooseDevice.ts';
import type { DeviceChoice } from './device.ts';
import { loadWeights } from './loadWeights.ts';
import type { WorkerResult, WorkerSetup, WorkerTask } from './messages.ts';
import { OrtSubjectModel } from './ortSubjectModel.ts';
import { hashFiles, openWeightFiles, readText } from './weightFiles.ts';
import { WorkerPool } from './workerPool.ts';

export interface OpenOptions {
  /** Catalog name; the folder's name by default. */
  readonly name?: string;
  /** `auto`: the first of cuda, webgpu, cpu that really runs. */
  readonly device: DeviceChoice;
  /** Worker threads = forward runs at once. By default one per core on the CPU, one on a GPU. */
  readonly workers?: number;
  /** onnxruntime threads inside each worker; 1 by default. */
  readonly threadsPerWorker?: number;
}

/**
 * Opens a Hugging Face model folder (config.json, safetensors) for forward runs.
 *
 * Throws CallerError: NOT_FOUND (no such folder, no weights), BAD_MODEL_FILE, UNSUPPORTED_ARCHITECTURE, UNSUPPORTED,
 * MISSING_TENSOR, WRONG_SHAPE, DEVICE_UNAVAILABLE.
 */
export async function openSubjectModel(folder: string, options: OpenOptions): Promise<SubjectModel> {
  await checkFolder(folder);
  const config = parseConfig(await readText(join(folder, 'config.json')));
  const model = readLanguageModel(config);
  const files = await openWeightFiles(folder);
  const device = await chooseDevice(options.device);
  const weights = await loadWeights(model, files);
  const [weightsHash, tokenizerHash] = await Promise.all([hashFiles(files.paths), hashTokenizer(folder)]);

  const workers = options.workers ?? (device === 'cpu' ? availableParallelism() : 1);
  const threads = options.threadsPerWorker ?? 1;
  const setup: WorkerSetup = { config, weights: weights.buffer, device, threads };
  const pool = new WorkerPool<WorkerTask, WorkerResult>(new URL('./worker.ts', import.meta.url), workers, setup);
  const info = {
    name: options.name ?? basename(resolve(folder)),
    architecture: model.architecture,
    layers: model.layers,
    dModel: model.dModel,
    vocabSize: model.vocabSize,
    contextLength: model.contextLength,
    parameters: weights.parameters,
    weightsHash,
    tokenizerHash,
  };
  return new OrtSubjectModel(info, model, weights, pool);
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) {
    throw new CallerError('NOT_FOUND', `${folder}: expected a folder with config.json and model.safetensors, found ${found === undefined ? 'nothing' : 'a file'}`);
  }
}

function parseConfig(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CallerError('BAD_MODEL_FILE', 'config.json is not JSON', { cause });
  }
}

async function hashTokenizer(folder: string): Promise<string> {
  for (const names of TOKENIZER_FILES) {
    const paths = names.map((name) => join(folder, name));
    const present = await Promise.all(paths.map((path) => stat(path).then((found) => found.isFile(), () => false)));
    if (present.every(Boolean)) return hashFiles(paths);
  }
  return hashFiles([]);
}

import { availableParallelism } from 'node:os';
import type { Generator } from '../../ports/Generator.ts';
import type { SubjectModel } from '../../ports/SubjectModel.ts';
import { compileCachedSpan } from '../../lm/cachedSpan.ts';
import { chooseDevice } from './chooseDevice.ts';
import { operatorsOf } from './device.ts';
import type { DeviceChoice } from './device.ts';
import { OrtGenerator } from './generator.ts';
import type { GeneratorResult, GeneratorSetup, GeneratorTask } from './generatorMessages.ts';
import { folderBehind, readModelFolder } from './modelFolder.ts';
import { WorkerPool } from './workerPool.ts';

export interface GeneratorOptions {
  /** Catalog name; the folder's name by default. */
  readonly name?: string;
  /** `auto`: the first of cuda, webgpu, cpu that really runs. */
  readonly device: DeviceChoice;
  /**
   * Worker threads, each with its own packed copy of the weights (a second while features are steered); 1 by default, which serves
   * several requests together.
   */
  readonly workers?: number;
  /** onnxruntime threads inside each worker; by default the processor's cores shared by the workers. */
  readonly threadsPerWorker?: number;
  /** Longest row of prompt and reply in tokens; by default the model's context, at most 8192. */
  readonly contextLength?: number;
  /** Bytes of keys and values a worker keeps at most, one row at least; 2 GB by default. */
  readonly cacheBytes?: number;
  /** The same folder, open for reading: its weights in memory are used, none are read. */
  readonly beside?: SubjectModel;
  /** Whether equal beginnings of requests are read once only; true by default. Results are the same. */
  readonly reusePrefixes?: boolean;
}

const MAX_CONTEXT = 8192;
const CACHE_BYTES = 2e9;
/** Rows served together: the arithmetic of more of them is what takes the time, no longer the memory. */
const MAX_SLOTS = 8;

/**
 * Opens a Hugging Face model folder (config.json, safetensors) for writing text.
 *
 * Throws CallerError: NOT_FOUND (no such folder, no weights), BAD_MODEL_FILE, UNSUPPORTED_ARCHITECTURE, UNSUPPORTED,
 * MISSING_TENSOR, WRONG_SHAPE, DEVICE_UNAVAILABLE.
 */
export async function openGenerator(folder: string, options: GeneratorOptions): Promise<Generator> {
  const device = await chooseDevice(options.device);
  const { config, model, weights, info } = (options.beside === undefined ? undefined : folderBehind(options.beside)) ?? (await readModelFolder(folder, options.name));
  const span = compileCachedSpan(model, weights.layout, [], operatorsOf(device));
  const workers = options.workers ?? 1;
  const threads = options.threadsPerWorker ?? Math.max(1, Math.floor(availableParallelism() / workers));
  const maxLength = Math.min(model.contextLength, options.contextLength ?? MAX_CONTEXT);
  const rowBytes = 2 * 4 * span.layers * span.kvHeads * span.headDim * maxLength;
  const slots = Math.max(1, Math.min(MAX_SLOTS, Math.floor((options.cacheBytes ?? CACHE_BYTES) / rowBytes)));
  const setup: GeneratorSetup = { config, span, vocabSize: model.vocabSize, weights: weights.buffer, device, threads, slots, maxLength, reuse: options.reusePrefixes ?? true };
  const pool = new WorkerPool<GeneratorTask, GeneratorResult>(new URL('./generatorWorker.ts', import.meta.url), workers, setup, slots);
  return new OrtGenerator({ ...info, contextLength: maxLength }, pool);
}

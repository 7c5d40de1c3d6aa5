import { availableParallelism } from 'node:os';
import type { GradientModel } from '../../ports/GradientModel.ts';
import { chooseDevice } from './chooseDevice.ts';
import type { DeviceChoice } from './device.ts';
import type { WorkerResult, WorkerSetup, WorkerTask } from './messages.ts';
import { readModelFolder, rememberFolder } from './modelFolder.ts';
import { OrtSubjectModel } from './ortSubjectModel.ts';
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
 * Opens a Hugging Face model folder (config.json, safetensors) for runs forward and backward.
 *
 * Throws CallerError: NOT_FOUND (no such folder, no weights), BAD_MODEL_FILE, UNSUPPORTED_ARCHITECTURE, UNSUPPORTED,
 * MISSING_TENSOR, WRONG_SHAPE, DEVICE_UNAVAILABLE.
 */
export async function openSubjectModel(folder: string, options: OpenOptions): Promise<GradientModel> {
  // The device first: weights take longer to read.
  const device = await chooseDevice(options.device);
  const read = await readModelFolder(folder, options.name);
  const { config, model, weights, info } = read;
  const workers = options.workers ?? (device === 'cpu' ? availableParallelism() : 1);
  const threads = options.threadsPerWorker ?? 1;
  const setup: WorkerSetup = { config, weights: weights.buffer, device, threads };
  const pool = new WorkerPool<WorkerTask, WorkerResult>(new URL('./worker.ts', import.meta.url), workers, setup);
  return rememberFolder(new OrtSubjectModel(info, model, weights, pool), read);
}

import { availableParallelism } from 'node:os';
import { chooseDevice } from '../../src/adapters/ort/chooseDevice.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { openTfjsTrainingEngine } from '../../src/adapters/tfjs/trainingEngine.ts';
import type { Device } from '../../src/config.ts';
import type { TrainingEngine } from '../../src/ports/TrainingEngine.ts';
import type { Workspace } from '../workspace.ts';

export const ENGINES = ['ort', 'tfjs'] as const;
export type EngineName = (typeof ENGINES)[number];

/** What trains, and where; `device` is of ort's, TensorFlow.js finds its own. */
export interface EngineChoice {
  readonly engine?: EngineName | undefined;
  readonly device?: Device | undefined;
  readonly workers?: number | undefined;
}

/**
 * Opens the engine that trains so many dictionaries at once: one thread each while there are fewer cores than dictionaries,
 * else the cores are shared out. A GPU takes the dictionaries in turn. Throws DEVICE_UNAVAILABLE.
 */
export async function openEngine({ engine = 'ort', device, workers }: EngineChoice, dictionaries: number, { config, progress }: Workspace): Promise<TrainingEngine> {
  const cores = workers ?? config.workers ?? availableParallelism();
  const atOnce = Math.min(cores, dictionaries);
  if (engine === 'tfjs') return await openTfjsTrainingEngine({ workers: atOnce, log: (line) => progress.say(`train: ${line}`) });
  const found = await chooseDevice(device ?? config.device);
  return openTrainingEngine({ workers: found === 'cpu' ? atOnce : 1, threadsPerWorker: Math.max(1, Math.floor(cores / dictionaries)), device: found });
}

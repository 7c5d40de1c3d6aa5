import { availableParallelism } from 'node:os';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { openTfjsTrainingEngine } from '../../src/adapters/tfjs/trainingEngine.ts';
import type { TrainingEngine } from '../../src/ports/TrainingEngine.ts';
import type { Workspace } from '../workspace.ts';

export const ENGINES = ['ort', 'tfjs'] as const;
export type EngineName = (typeof ENGINES)[number];

/**
 * Opens the engine that trains so many dictionaries at once: one thread each while there are fewer cores than dictionaries,
 * else the cores are shared out.
 */
export async function openEngine(name: EngineName, dictionaries: number, { config, progress }: Workspace, workers: number = config.workers ?? availableParallelism()): Promise<TrainingEngine> {
  const atOnce = Math.min(workers, dictionaries);
  if (name === 'tfjs') return await openTfjsTrainingEngine({ workers: atOnce, log: (line) => progress.say(`train: ${line}`) });
  return openTrainingEngine({ workers: atOnce, threadsPerWorker: Math.max(1, Math.floor(workers / dictionaries)) });
}

import { CallerError } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { TrainerState } from '../ports/TrainingEngine.ts';

/** What `train` knew at a block boundary: everything that it needs to go on exactly. */
export interface TrainCheckpoint {
  /** Blocks of the plan that are done. */
  readonly blocks: number;
  readonly trainers: ReadonlyMap<HookPoint, TrainerCheckpoint>;
}

export interface TrainerCheckpoint {
  readonly inputScale: number;
  /** Variance per element of the first block, after scaling: turns mse into an estimate of fvu while training. */
  readonly variance: number;
  readonly state: TrainerState;
}

interface Metadata {
  readonly blocks: number;
  readonly trainers: readonly { readonly hookPoint: HookPoint; readonly inputScale: number; readonly variance: number }[];
}

/** One file holds all dictionaries and the cursor, so they can never disagree. */
export async function writeCheckpoint(artefacts: Artefacts, path: string, { blocks, trainers }: TrainCheckpoint): Promise<void> {
  const metadata: Metadata = { blocks, trainers: Array.from(trainers, ([hookPoint, { inputScale, variance }]) => ({ hookPoint, inputScale, variance })) };
  const tensors = new Map(Array.from(trainers).flatMap(([hook, { state }]) => Array.from(state, ([name, tensor]) => [`${hook}/${name}`, tensor] as const)));
  await artefacts.writeTensors(path, tensors, { train: JSON.stringify(metadata) });
}

/** Null when there is none yet. */
export async function readCheckpoint(artefacts: Artefacts, path: string, hookPoints: readonly HookPoint[]): Promise<TrainCheckpoint | null> {
  const file = await artefacts.readTensors(path);
  if (file === null) return null;
  const { blocks, trainers } = JSON.parse(file.metadata['train'] ?? '{"trainers":[]}') as Metadata;
  const found = new Map<HookPoint, TrainerCheckpoint>();
  for (const { hookPoint, inputScale, variance } of trainers) {
    const prefix = `${hookPoint}/`;
    const state = new Map(Array.from(file.tensors).filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) => [name.slice(prefix.length), tensor]));
    found.set(hookPoint, { inputScale, variance, state });
  }
  if (!hookPoints.every((hook) => found.has(hook))) {
    throw new CallerError('STALE_OUTPUT', `checkpoint ${path} holds ${[...found.keys()].join(', ') || 'nothing'}, expected ${hookPoints.join(', ')}; delete the run's folder and train again`);
  }
  return { blocks, trainers: found };
}

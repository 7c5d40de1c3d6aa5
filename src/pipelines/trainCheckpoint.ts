import { CallerError } from '../domain/errors.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { TrainerState } from '../ports/TrainingEngine.ts';
import type { HookStatistics } from './hookStatistics.ts';

/** What `train` knew at a block boundary, beside the trainers' states: everything that it needs to go on exactly. */
export interface TrainCheckpoint {
  /** Blocks of the plan that are done. */
  readonly blocks: number;
  readonly hooks: Readonly<Record<string, HookStatistics>>;
  /** Dictionaries under way, by name. */
  readonly lanes: readonly string[];
  /** Dictionaries given up, and why. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
  /** Which of two sets of files holds the states: the other is overwritten next. */
  readonly slot: 0 | 1;
}

const POINTER = 'checkpoint.json';

/**
 * Writes the states one after another, so that no more than one is in memory beside the trainers' own, into the slot that
 * the last checkpoint does not use; then the pointer, by one rename. A kill at any moment leaves the last or this one whole.
 */
export async function writeCheckpoint(artefacts: Artefacts, dir: string, checkpoint: TrainCheckpoint, stateOf: (lane: string) => Promise<TrainerState>): Promise<void> {
  for (const lane of checkpoint.lanes) await artefacts.writeTensors(statePath(dir, checkpoint.slot, lane), await stateOf(lane), { blocks: String(checkpoint.blocks) });
  await artefacts.writeRecords(`${dir}/${POINTER}`, [checkpoint]);
}

/** Null when there is none yet. */
export async function readCheckpoint(artefacts: Artefacts, dir: string): Promise<TrainCheckpoint | null> {
  for await (const checkpoint of artefacts.readRecords<TrainCheckpoint>(`${dir}/${POINTER}`, { optional: true })) return checkpoint;
  return null;
}

/** The state of a lane the checkpoint has. Throws STALE_OUTPUT when its file is missing or of another checkpoint. */
export async function readState(artefacts: Artefacts, dir: string, checkpoint: TrainCheckpoint, lane: string): Promise<TrainerState> {
  const path = statePath(dir, checkpoint.slot, lane);
  const file = await artefacts.readTensors(path);
  if (file === null || file.metadata['blocks'] !== String(checkpoint.blocks)) {
    throw new CallerError('STALE_OUTPUT', `${path}: expected the state after ${checkpoint.blocks} blocks, found ${file === null ? 'no file' : `one after ${file.metadata['blocks']}`}; delete the run's folder and train again`);
  }
  return file.tensors;
}

export async function removeCheckpoint(artefacts: Artefacts, dir: string): Promise<void> {
  for (const path of [POINTER, 'checkpoint-0', 'checkpoint-1']) await artefacts.remove(`${dir}/${path}`);
}

function statePath(dir: string, slot: 0 | 1, lane: string): string {
  return `${dir}/checkpoint-${slot}/${lane}.safetensors`;
}

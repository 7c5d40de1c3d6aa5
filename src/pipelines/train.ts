import { layoutRows } from '../activations/rowSampler.ts';
import { planTraining } from '../activations/shuffle.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { removeCheckpoint } from './trainCheckpoint.ts';
import type { TrainInput, TrainPorts, TrainResult } from './trainContract.ts';
import { TrainingRun } from './trainingRun.ts';
import type { Vectors } from './trainingRun.ts';
import { hookPointsRead, planLanes } from './trainLanes.ts';
import { checkTrainOptions, resolveBlockVectors, TRAIN_DEFAULTS } from './trainOptions.ts';
import type { TrainOptions } from './trainOptions.ts';
import { measureAndWrite } from './trainResults.ts';

/**
 * Trains every recipe at every hook point, all in one pass over the activations. While a block is trained on, the next is
 * harvested into the other of two buffers, in memory that all trainers share; so memory is two blocks, and the trainers'
 * parameters with their moments. Quality is measured on rows never trained on. Dictionaries that diverge are given up and
 * named in the result, unless all do.
 *
 * Resumable: every `checkpointBlocks` blocks all trainers' states and the place in the plan are saved, and as nothing else
 * carries over between blocks, a run killed at any moment and started again ends with the same weights to the bit (on CPU).
 * Throws BAD_INPUT for options out of range, too little text, or training that diverges.
 */
export async function trainDictionaries(ports: TrainPorts, input: TrainInput, options: TrainOptions = TRAIN_DEFAULTS): Promise<TrainResult> {
  checkTrainOptions(options);
  const { source, artefacts, progress } = ports;
  const { dIn: D } = source;
  const hookPoints = input.hookPoints ?? source.hookPoints;
  const read = hookPointsRead(hookPoints, options.recipes);
  const started = performance.now();
  const layout = layoutRows({ ...options, rows: input.rows, cols: input.cols, blockVectors: resolveBlockVectors(options.blockVectors, read.length, D) });
  const plan = planTraining(layout, options);
  const lanePlans = planLanes(hookPoints, () => D, options, plan.vectors / options.batchSize);

  const resultPath = `${input.dir}/result.json`;
  for await (const done of artefacts.readRecords<TrainResult>(resultPath, { optional: true })) return { ...done, vectorsNow: 0 };
  const training = new TrainingRun(ports, input, options, plan, lanePlans);
  await training.open();
  try {
    const rooms = [sharedVectors(read, layout, D), sharedVectors(read, layout, D)] as const;
    const vectorsNow = await training.run(rooms, read);
    const { lanes, hooks, failures } = training;
    const dictionaries = await measureAndWrite(ports, input, layout, lanes, hooks, rooms[0]);
    const result: TrainResult = { dictionaries, failures, vectors: plan.vectors, vectorsNow, seconds: (performance.now() - started) / 1000 };
    await training.report(dictionaries);
    await artefacts.writeRecords(resultPath, [result]);
    await removeCheckpoint(artefacts, input.dir);
    for (const { name, reason } of failures) progress.say(`${name}: given up: ${reason}`);
    return result;
  } finally {
    await training.close();
  }
}

/** Room for one block, or one held-out group, of every hook point, in memory that workers share. */
function sharedVectors(hooks: readonly HookPoint[], { blocks, heldOut, vectorsPerRow }: ReturnType<typeof layoutRows>, D: number): Vectors {
  const rows = [...blocks, ...heldOut].reduce((most, group) => Math.max(most, group.rows.length), 0);
  return new Map(hooks.map((hook) => [hook, new Float32Array(new SharedArrayBuffer(4 * rows * vectorsPerRow * D))]));
}

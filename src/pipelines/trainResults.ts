import { divideBy } from '../activations/inputScale.ts';
import type { RowLayout } from '../activations/rowSampler.ts';
import { addSums, quality } from '../dictionary/quality.ts';
import type { QualitySums } from '../dictionary/quality.ts';
import { trainedWeights } from '../dictionary/weights.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';
import type { HookStatistics } from './hookStatistics.ts';
import type { TrainInput, TrainPorts, TrainedDictionary } from './trainContract.ts';
import type { Vectors } from './trainingRun.ts';
import type { Lane } from './trainLanes.ts';

/**
 * Held-out quality of every dictionary, then its folder. Memory: one dictionary's weights.
 * @param room where one group's vectors find place, by hook point.
 */
export async function measureAndWrite(
  { source, artefacts, progress }: TrainPorts,
  input: TrainInput,
  layout: RowLayout,
  lanes: readonly Lane[],
  hooks: Readonly<Record<string, HookStatistics>>,
  room: Vectors,
): Promise<TrainedDictionary[]> {
  const { dIn: D } = source;
  const read = [...room.keys()];
  const meters = new Map(read.map((hook) => [hook, new VarianceMeter(D)]));
  const sums: QualitySums[] = [];
  for (const group of layout.heldOut) {
    const block = await source.read(group, null, group.rows.length * layout.vectorsPerRow, room);
    for (const hook of read) {
      divideBy(block.get(hook)!, hooks[hook]!.scale);
      meters.get(hook)!.add(block.get(hook)!);
    }
    await Promise.all(
      lanes.map(async ({ hookPoint, outputHookPoint, trainer }, i) => {
        const more = await trainer.evaluate(block.get(hookPoint)!, outputHookPoint === null ? undefined : block.get(outputHookPoint)!);
        sums[i] = sums[i] === undefined ? more : addSums(sums[i], more);
      }),
    );
  }
  const written: TrainedDictionary[] = [];
  for (const [i, { name, hookPoint, outputHookPoint, spec, trainer }] of lanes.entries()) {
    const target = outputHookPoint ?? hookPoint;
    const measured = quality(sums[i]!, meters.get(target)!.sumOfSquares());
    const belonging = { name, model: input.model, hookPoint, outputHookPoint, inputScale: hooks[hookPoint]!.scale, outputScale: hooks[target]!.scale, run: input.run };
    const { config } = await artefacts.writeDictionary(`${input.dir}/${name}`, trainedWeights(belonging, spec, await trainer.state()), measured);
    progress.say(`${name}: fvu ${measured.fvu.toFixed(3)}, ${measured.l0.toFixed(1)} active features, ${(100 * measured.aliveShare).toFixed(0)} % alive, on ${measured.vectors} held-out vectors`);
    written.push({ config, quality: measured, folder: name });
  }
  return written;
}

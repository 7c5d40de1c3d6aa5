import type { RowLayout } from '../activations/rowSampler.ts';
import { CovarianceMeter } from '../baselines/covariance.ts';
import type { Kernels } from '../baselines/kernels.ts';
import { CallerError } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { Rng } from '../math/rng.ts';
import type { Progress } from '../ports/Progress.ts';
import { SAMPLE_BYTES } from './baselinesOptions.ts';
import type { BaselineOptions } from './baselinesOptions.ts';
import { shared } from './graphKernels.ts';
import type { ActivationSource } from './harvest.ts';

/** What one pass over the activations leaves of a hook point. */
export interface PassResult {
  readonly mean: Float64Array;
  /** [D, D]. */
  readonly covariance: Float64Array;
  /** Vectors read. */
  readonly count: number;
  /** [sample, D], in shared memory; empty where no fit needs it. */
  readonly sample: Float32Array;
}

/**
 * Covariance and a sample of every hook point wanted, in one pass; while a block is summed up the next is read. The sample
 * takes its share of every block, at random places. Memory: two blocks, the samples, and 2·D² doubles per hook point.
 */
export async function fitPass(
  { source, kernels, progress }: { readonly source: ActivationSource; readonly kernels: Kernels; readonly progress: Progress },
  layout: RowLayout,
  hookPoints: readonly HookPoint[],
  needs: { readonly covariance: boolean; readonly sample: boolean },
  options: BaselineOptions,
): Promise<ReadonlyMap<HookPoint, PassResult>> {
  const { dIn: D } = source;
  const blocks: { group: RowLayout['blocks'][number]; vectors: number }[] = [];
  let total = 0;
  for (const group of layout.blocks) {
    if (options.maxVectors !== null && total >= options.maxVectors) break;
    const vectors = group.rows.length * layout.vectorsPerRow;
    blocks.push({ group, vectors });
    total += vectors;
  }
  // All hook points count, also those that need no pass any more: a run that is continued takes the same sample.
  const fitting = Math.floor(SAMPLE_BYTES / (source.hookPoints.length * D * 4));
  const wanted = needs.sample ? Math.min(options.sampleVectors, fitting, total) : 0;
  if (needs.sample && fitting < Math.min(options.sampleVectors, total)) {
    progress.say(`baselines: ICA and NMF are fitted to ${wanted} vectors, as many as fit ${SAMPLE_BYTES / 2 ** 30} GiB for ${source.hookPoints.length} hook points; take fewer layers at a time for more`);
  }
  const lanes = hookPoints.map((hookPoint) => ({ hookPoint, meter: new CovarianceMeter(D), sample: shared(wanted * D) }));
  const task = progress.start(`covariance of ${hookPoints.length} hook points`, total, 'vectors');
  let [done, taken] = [0, 0];
  const read = (k: number): ReturnType<ActivationSource['read']> => {
    const reading = source.read(blocks[k]!.group, null, blocks[k]!.vectors);
    reading.catch(() => undefined); // awaited, but not before other work
    return reading;
  };
  let reading = read(0);
  for (const [k, { vectors }] of blocks.entries()) {
    const block = await reading;
    if (k + 1 < blocks.length) reading = read(k + 1);
    const quota = Math.floor((wanted * (done + vectors)) / total) - taken;
    const places = Rng.derive(options.seed, 'sample', k).permutation(vectors).subarray(0, quota);
    for (const { hookPoint, meter, sample } of lanes) {
      const list = block.get(hookPoint)!;
      for (const [i, place] of places.entries()) sample.set(list.subarray(place * D, (place + 1) * D), (taken + i) * D);
      if (!needs.covariance) continue;
      const origin = meter.count === 0 ? Float64Array.from(list.subarray(0, D)) : meter.mean;
      meter.add(await kernels.moments(list, origin), origin);
    }
    done += vectors;
    taken += quota;
    task.update(done);
  }
  task.finish();
  return new Map(
    lanes.map(({ hookPoint, meter, sample }) => {
      const covariance = needs.covariance ? meter.covariance() : new Float64Array(0);
      if (!covariance.every(Number.isFinite) || !sample.every(Number.isFinite)) {
        throw new CallerError('BAD_INPUT', `activations at ${hookPoint} are not all finite numbers: the model's weights or the hook point may be wrong`);
      }
      return [hookPoint, { mean: meter.mean, covariance, count: done, sample }];
    }),
  );
}

import type { HookPoint } from '../domain/hookPoint.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { StepStats } from '../ports/TrainingEngine.ts';

/** One line of metrics.jsonl: means over METRIC_STEPS steps (fewer at the end of a block). */
export interface TrainMetric {
  /** Dictionary. */
  readonly name: string;
  readonly hookPoint: HookPoint;
  /** Block of the plan. */
  readonly block: number;
  /** Vectors trained on at the end of these steps. */
  readonly vectors: number;
  readonly loss: number;
  /** Per element, in the space trained in. */
  readonly mse: number;
  /** Estimated with the variance of the first block. */
  readonly fvu: number;
  readonly l0: number;
  /** Share of features that count as dead, at the last of these steps. */
  readonly dead: number;
  /** Of this dictionary's steps in this block, waiting for the model not included; not reproducible. */
  readonly vectorsPerSecond: number;
}

export const METRIC_STEPS = 16;

/** Metrics of the steps of one block; `before` = vectors trained on before it. */
export function blockMetrics(
  lane: { readonly name: string; readonly hookPoint: HookPoint; readonly variance: number; readonly batchSize: number },
  block: { readonly index: number; readonly before: number; readonly seconds: number },
  stats: readonly StepStats[],
): TrainMetric[] {
  const metrics: TrainMetric[] = [];
  for (let from = 0; from < stats.length; from += METRIC_STEPS) {
    const some = stats.slice(from, from + METRIC_STEPS);
    const mean = (pick: (s: StepStats) => number): number => some.reduce((sum, s) => sum + pick(s), 0) / some.length;
    const mse = mean((s) => s.mse);
    metrics.push({
      name: lane.name,
      hookPoint: lane.hookPoint,
      block: block.index,
      vectors: block.before + (from + some.length) * lane.batchSize,
      loss: mean((s) => s.loss),
      mse,
      fvu: mse / lane.variance,
      l0: mean((s) => s.l0),
      dead: some.at(-1)!.dead,
      vectorsPerSecond: (stats.length * lane.batchSize) / Math.max(1e-9, block.seconds),
    });
  }
  return metrics;
}

/** Drops what a killed run logged after its last checkpoint. Memory: one line. */
export async function keepMetricsBefore(artefacts: Artefacts, path: string, block: number): Promise<void> {
  async function* kept(): AsyncIterable<TrainMetric> {
    for await (const metric of artefacts.readRecords<TrainMetric>(path, { optional: true })) if (metric.block < block) yield metric;
  }
  await artefacts.writeRecords(path, kept());
}

/** Progress of all dictionaries in a few words: a value, or a range over them. */
export function progressNote(latest: readonly TrainMetric[]): string {
  if (latest.length === 0) return 'none left';
  const range = (pick: (m: TrainMetric) => number, digits: number): string => {
    const values = latest.map(pick);
    const [low, high] = [Math.min(...values).toFixed(digits), Math.max(...values).toFixed(digits)];
    return low === high ? low : `${low}–${high}`;
  };
  return `fvu ${range((m) => m.fvu, 3)} l0 ${range((m) => m.l0, 1)} dead ${range((m) => 100 * m.dead, 0)} %`;
}

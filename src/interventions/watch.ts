import { activationOf } from '../causal/featureEdit.ts';
import { hookOrder } from '../causal/hookOrder.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { ActivationChange, WatchedFeature } from './intervention.ts';
import { watchPoint, type Planned } from './plan.ts';
import { activationsIn, everyPosition, tapOf, type RunRows } from './runRows.ts';
import type { Turns } from './turns.ts';

/** What a run over a stretch of the network must give for the features watched there, and where its rows go. */
interface Stretch {
  readonly taps: readonly HookPoint[];
  readonly encode: readonly DictionaryWeights[];
  /** Positions at which row b's taps are read; null = all. */
  positions(b: number): readonly number[] | null;
  /** Reads row b's watched features out of the run. */
  take(b: number, rows: RunRows): Promise<void>;
}

/**
 * Whether a watched feature's dictionary is encoded whole in the worker: where only the k largest count, unless it is wanted at
 * one position, which is sooner read here.
 */
export function isEncoded({ weights, positions }: WatchedFeature): boolean {
  return weights.config.k !== null && positions?.length !== 1;
}

/** Features that are only read: in the clean run, and in whichever part of the edited run passes them after all edits before them. */
export class Watch {
  readonly nothing: Stretch = { taps: [], encode: [], positions: () => [], take: () => Promise.resolve() };
  readonly #watched: readonly (readonly WatchedFeature[])[];
  readonly #turns: Turns;
  /** Per row and watched feature. */
  readonly #changes: ActivationChange[][] = [];

  private constructor(planned: readonly Planned[], turns: Turns) {
    this.#watched = planned.map(({ intervention }) => intervention.measures.watch ?? []);
    this.#turns = turns;
  }

  /** @param bases the clean run of each row, which several may share. */
  static async of(planned: readonly Planned[], bases: readonly RunRows[], turns: Turns): Promise<Watch> {
    const watch = new Watch(planned, turns);
    const known = new Map<RunRows, Map<DictionaryWeights, Map<string, Float64Array>>>();
    for (const [b, features] of watch.#watched.entries()) {
      const row: ActivationChange[] = [];
      for (const feature of features) {
        const byDictionary = getOrMake(known, bases[b], () => new Map<DictionaryWeights, Map<string, Float64Array>>());
        const byFeature = getOrMake(byDictionary, feature.weights, () => new Map<string, Float64Array>());
        const key = `${feature.index} ${feature.positions?.join() ?? 'all'}`;
        const before = byFeature.get(key) ?? (await watch.#read(bases[b], feature));
        byFeature.set(key, before);
        // What no run passes any more lies before the edits: it is as it was.
        row.push({ before: before.slice(), after: before.slice() });
      }
      watch.#changes.push(row);
    }
    return watch;
  }

  /** The features at points from `from` on and before `to`, or to the end. */
  between(from: HookPoint, to: HookPoint | null): Stretch {
    const inside = ({ weights }: WatchedFeature): boolean => {
      const order = hookOrder(weights.config.hookPoint);
      return order >= hookOrder(from) && (to === null || order < hookOrder(to));
    };
    const features = this.#watched.flat().filter(inside);
    return {
      taps: [...new Set(features.map(({ weights }) => watchPoint(weights)))],
      encode: [...new Set(features.filter(isEncoded).map(({ weights }) => weights))],
      positions: (b) => {
        const at = new Set<number>();
        for (const feature of this.#watched[b]) {
          if (!inside(feature)) continue;
          if (feature.positions === undefined) return null;
          for (const t of feature.positions) at.add(t);
        }
        return [...at];
      },
      take: async (b, rows) => {
        for (const [i, feature] of this.#watched[b].entries()) {
          if (inside(feature)) this.#changes[b][i] = { before: this.#changes[b][i].before, after: await this.#read(rows, feature) };
        }
      },
    };
  }

  changes(b: number): readonly ActivationChange[] {
    return this.#changes[b];
  }

  /** Activations at the positions asked for. */
  async #read(rows: RunRows, feature: WatchedFeature): Promise<Float64Array> {
    const { weights, index, positions = everyPosition(rows.length) } = feature;
    const { dIn, k, nFeatures } = weights.config;
    const hook = watchPoint(weights);
    if (this.#turns.due(positions.length * dIn * (k === null ? 1 : nFeatures))) await this.#turns.give();
    if (!isEncoded(feature)) return Float64Array.from(positions, (t) => activationOf(weights, index, tapOf(rows.run.taps, hook), (rows.first + t) * dIn));
    const found = activationsIn(rows, weights, index, hook, positions);
    return Float64Array.from(positions, (t) => found[t]);
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

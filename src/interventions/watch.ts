import { hookOrder } from '../causal/hookOrder.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { ActivationChange } from './intervention.ts';
import { watchPoint, type Planned } from './plan.ts';
import { activationsIn, everyPosition, type RunRows } from './runRows.ts';

/** What a run over a stretch of the network must give for the features watched there, and where its rows go. */
interface Stretch {
  readonly taps: readonly HookPoint[];
  readonly encode: readonly DictionaryWeights[];
  /** Reads row b's watched features out of the run. */
  take(b: number, rows: RunRows): void;
}

/** Features that are only read: in the clean run, and in whichever part of the edited run passes them after all edits before them. */
export class Watch {
  readonly nothing: Stretch = { taps: [], encode: [], take: () => undefined };
  readonly #planned: readonly Planned[];
  /** Per row and watched feature. */
  readonly #changes: ActivationChange[][];

  /** @param bases the clean run of each row. */
  constructor(planned: readonly Planned[], bases: readonly RunRows[]) {
    this.#planned = planned;
    this.#changes = planned.map(({ intervention }, b) =>
      (intervention.measures.watch ?? []).map(({ weights, index }) => {
        const before = activationsIn(bases[b], weights, index, watchPoint(weights), everyPosition(bases[b].length));
        // What no run passes any more lies before the edits: it is as it was.
        return { before, after: before.slice() };
      }),
    );
  }

  /** The features at points from `from` on and before `to`, or to the end. */
  between(from: HookPoint, to: HookPoint | null): Stretch {
    const inside = (weights: DictionaryWeights): boolean => {
      const order = hookOrder(weights.config.hookPoint);
      return order >= hookOrder(from) && (to === null || order < hookOrder(to));
    };
    const dictionaries = [...new Set(this.#planned.flatMap(({ intervention }) => (intervention.measures.watch ?? []).map(({ weights }) => weights)))].filter(inside);
    return {
      taps: [...new Set(dictionaries.map(watchPoint))],
      encode: dictionaries.filter(({ config }) => config.k !== null),
      take: (b, rows) => {
        for (const [i, { weights, index }] of (this.#planned[b].intervention.measures.watch ?? []).entries()) {
          if (!inside(weights)) continue;
          const { before } = this.#changes[b][i];
          this.#changes[b][i] = { before, after: activationsIn(rows, weights, index, watchPoint(weights), everyPosition(rows.length)) };
        }
      },
    };
  }

  changes(b: number): readonly ActivationChange[] {
    return this.#changes[b];
  }
}

import { usualName } from '../causal/hookOrder.ts';
import { compareDirections, directionsOf } from '../dictionary/mmcs.ts';
import type { DirectionComparison } from '../dictionary/mmcs.ts';
import { outputHookPointOf } from '../domain/dictionary.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { RowProducts } from '../ports/RowProducts.ts';
import type { DictionarySource } from './evaluate.ts';

/** How alike the directions of two dictionaries are. */
export interface DictionaryComparison extends DirectionComparison {
  readonly a: string;
  readonly b: string;
}

export interface CompareInput {
  readonly dictionaries: readonly DictionarySource[];
  readonly products: RowProducts;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** `comparisons.ndjson` is written there; pairs it holds already are not compared again. */
  readonly dir: string;
}

/** Compares every pair of dictionaries that write at the same hook point; two dictionaries are in memory at a time. */
export async function compareDictionaries({ dictionaries, products, artefacts, progress, dir }: CompareInput): Promise<DictionaryComparison[]> {
  const path = `${dir}/comparisons.ndjson`;
  const pairs = dictionaries.flatMap((a, i) =>
    dictionaries.slice(i + 1).filter((b) => usualName(outputHookPointOf(a.config)) === usualName(outputHookPointOf(b.config)) && a.config.dOut === b.config.dOut).map((b) => [a, b] as const),
  );
  if (pairs.length === 0) return [];
  const done: DictionaryComparison[] = [];
  for await (const record of artefacts.readRecords<DictionaryComparison>(path, { optional: true })) done.push(record);
  const task = progress.start('compare directions', pairs.length, 'pairs');
  const multiply = (a: Float32Array, b: Float32Array, width: number): Promise<Float32Array> => products.products(a, b, width);
  for (const [i, [a, b]] of pairs.entries()) {
    if (i >= done.length) {
      const [left, right] = [directionsOf(await a.load()), directionsOf(await b.load())];
      const record = { a: a.config.name, b: b.config.name, ...(await compareDirections(left, right, multiply)) };
      await artefacts.appendRecords(path, [record]);
      done.push(record);
    }
    task.update(i + 1);
  }
  task.finish();
  return done;
}

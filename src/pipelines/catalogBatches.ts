import type { BulkView } from '../ports/CatalogBulk.ts';
import type { BatchKind } from './catalogLayout.ts';
import { BATCH_PATCHES } from './catalogLayout.ts';
import { activationLine, edgeLine, explanationLine, featureLine, nearestLine, outputEdgeLine, personLine, scoreLines, skipLine, type RowPlace } from './catalogRows.ts';

/** Features read at once: what an export holds in memory, whatever the dictionary's size. */
const CHUNK = 64;
/** Patches read at once: each may be long. Divides the patches of a file. */
const PATCHES = 32;

/** The lines of one batch of one kind; `runs` takes the keys of the runs they name. */
export async function* batchLines(kind: Exclude<BatchKind, 'runs'>, view: BulkView, place: RowPlace, indices: readonly number[], runs: Set<string>): AsyncGenerator<string, void, undefined> {
  for (let at = 0; at < indices.length; at += CHUNK) {
    const some = indices.slice(at, at + CHUNK);
    switch (kind) {
      case 'features':
        for (const feature of await view.features(some)) yield featureLine(place, feature);
        break;
      case 'activations':
        for (const { index, exemplars } of await view.exemplars(some)) for (const exemplar of exemplars) yield activationLine(place, index, exemplar);
        break;
      case 'explanations':
        for (const explanation of await view.explanations(some)) {
          runs.add(explanation.run);
          yield explanationLine(place, explanation);
        }
        break;
      case 'scores':
        for (const explanation of await view.explanations(some)) yield* scoreLines(place, explanation);
        break;
      case 'skips':
        for (const skip of await view.skips(some)) {
          runs.add(skip.run);
          yield skipLine(place, skip);
        }
        break;
      case 'edges':
        for (const edge of await view.edges(some)) {
          runs.add(edge.run);
          yield edgeLine(place, edge);
        }
        break;
      case 'output_edges':
        for (const edge of await view.outputs(some)) {
          runs.add(edge.run);
          yield outputEdgeLine(place, edge);
        }
        break;
      case 'nearest':
        for (const near of await view.nearest(some)) {
          runs.add(near.run);
          yield nearestLine(place, near);
        }
        break;
      case 'people':
        for (const person of await view.people(some)) yield personLine(place, person);
        break;
    }
  }
}

/** Runs by key, whole. */
export async function* runLines(view: BulkView, keys: Iterable<string>): AsyncGenerator<string, void, undefined> {
  const sorted = [...new Set(keys)].sort();
  for (let at = 0; at < sorted.length; at += CHUNK) for (const run of await view.runs(sorted.slice(at, at + CHUNK))) yield JSON.stringify(run);
}

/** Patches of the dictionary: the lines of each file, to be read before the next file's; the last may have none. */
export async function* patchBatches(view: BulkView): AsyncGenerator<AsyncIterable<string>, void, undefined> {
  let after: string | null = '';
  async function* lines(): AsyncGenerator<string, void, undefined> {
    for (let count = 0; after !== null && count < BATCH_PATCHES; count += PATCHES) {
      const some = await view.patches(after, PATCHES);
      for (const run of some) yield JSON.stringify(run);
      after = some.length < PATCHES ? null : some.at(-1)!.id;
    }
  }
  while (after !== null) yield lines();
}

/** How lines of this view say where they belong. */
export async function rowPlace(view: BulkView, set: string): Promise<RowPlace> {
  const { model, name, hookPoint } = view.dictionary;
  const tokens = await view.tokens();
  return { model, dictionary: name, set, hookPoint, token: (id) => tokens[id] ?? '' };
}

import { CallerError } from '../domain/errors.ts';
import type { Run } from '../domain/run.ts';
import type { BatchFiles } from '../ports/BatchFiles.ts';
import type { BulkCounts, BulkDictionary, BulkSummary, BulkView, CatalogBulk, MeasuredCounts } from '../ports/CatalogBulk.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import type { Progress } from '../ports/Progress.ts';
import { CatalogFolder, DESCRIBED, MEASURED, hashesTo, sameAs } from './catalogFolder.ts';
import { foreignSource, type ForeignOptions } from './catalogForeign.ts';
import { patchOf } from './catalogHeads.ts';
import { dictionaryFolder, type BulkManifest } from './catalogLayout.ts';
import { readManifest } from './catalogManifest.ts';
import { freshModel, ownSource } from './catalogOwn.ts';
import { edgeOf, nearestOf, outputEdgeOf, personOf, type TokenId } from './catalogParse.ts';
import { sourceLines } from './catalogSource.ts';
import { featuresOf, outcomesOf } from './catalogStreams.ts';
import type { LineReader } from './lineReader.ts';

export interface ImportPorts {
  readonly bulk: CatalogBulk;
  readonly reader: CatalogReader;
  readonly files: BatchFiles;
  readonly progress: Progress;
}

/** What is known of a dictionary to be imported, whoever exported it. */
export interface ImportSource {
  readonly dictionary: BulkDictionary;
  readonly train: Run;
  readonly analyse: Run;
  readonly explainers: readonly { readonly explainer: string; readonly run: Run }[];
  readonly summaries: readonly BulkSummary[] | null;
  readonly tokenId: TokenId;
}

/**
 * Puts one dictionary of the files into the catalog, in one transaction; null where the catalog holds just that already. Files of
 * other programs in the same layout are taken as far as they go: features, activations, explanations.
 */
export async function importDictionary(ports: ImportPorts, model: string, dictionary: string, foreign: ForeignOptions): Promise<BulkCounts | null> {
  const { bulk, reader, files, progress } = ports;
  const path = dictionaryFolder(model, dictionary);
  const manifest = await readManifest(files, path);
  const fresh = manifest === null ? null : await freshModel(reader, new CatalogFolder(files, path, manifest, null), model);
  const known = (await reader.dictionaries({ model, names: [dictionary] })).find(({ name }) => name === dictionary);
  const work = async (view: BulkView | null): Promise<BulkCounts | null> => {
    const folder = new CatalogFolder(files, path, manifest, view);
    if (view !== null && manifest !== null) {
      if (view.dictionary.weightsHash === manifest.weightsHash && (await isThere(view, manifest, folder))) return null;
      if (isPart(manifest)) {
        throw new CallerError('BAD_INPUT', `${path} holds a part of ${model}/${dictionary} (${JSON.stringify(manifest.filter)}), which the catalog has: import it into another catalog, or export it whole`);
      }
    }
    // What other programs export names no weights.
    if (view !== null && manifest === null && view.dictionary.weightsHash !== '') {
      throw new CallerError('BAD_INPUT', `the catalog has a dictionary ${model}/${dictionary} with weights, and the files of another program, which hold fewer things of it, would take its place: name their folder otherwise`);
    }
    const source = manifest === null ? await foreignSource(reader, folder, model, dictionary, foreign) : await ownSource(folder, manifest);
    const task = progress.start(`import ${model}/${dictionary}`, manifest?.features ?? source.dictionary.nFeatures, 'feature');
    const counts = await bulk.restore({
      model: fresh,
      dictionary: source.dictionary,
      runs: folder.runs(),
      train: source.train,
      analyse: source.analyse,
      features: featuresOf(folder, source.tokenId, (done) => task.update(done)),
      explanations: source.explainers.map(({ explainer, run }) => ({ explainer, run, outcomes: outcomesOf(folder, explainer, run.key) })),
      people: mapped(folder.all('people'), personOf),
      summaries: source.summaries,
    });
    task.finish();
    return counts;
  };
  return known === undefined ? work(null) : bulk.view(model, dictionary, work);
}

/** Its edges and patches, once the dictionaries they come from are there; null where the catalog holds just those already. */
export async function importMeasured({ bulk, files }: ImportPorts, model: string, dictionary: string): Promise<MeasuredCounts | null> {
  const path = dictionaryFolder(model, dictionary);
  const manifest = await readManifest(files, path);
  if (manifest === null) return null;
  return bulk.view(model, dictionary, async (view) => {
    const folder = new CatalogFolder(files, path, manifest, view);
    if ((await sameAs(view, manifest, MEASURED)) && (await patchesAreThere(view, folder))) return null;
    return bulk.restoreMeasured({
      model,
      dictionary,
      indices: isPart(manifest) ? await gathered(mapped(folder.all('features'), (line) => line.natural('index'))) : null,
      runs: folder.runs(),
      edges: mapped(folder.all('edges'), edgeOf),
      outputs: mapped(folder.all('output_edges'), outputEdgeOf),
      nearest: mapped(folder.all('nearest'), nearestOf),
      patches: mapped(folder.all('patches'), patchOf),
    });
  });
}

async function* mapped<T>(lines: AsyncIterable<LineReader>, read: (line: LineReader) => T): AsyncGenerator<T, void, undefined> {
  for await (const line of lines) yield read(line);
}

async function gathered<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

const isPart = ({ filter }: BulkManifest): boolean => Object.keys(filter).length > 0;

async function isThere(view: BulkView, manifest: BulkManifest, folder: CatalogFolder): Promise<boolean> {
  const lines = await sourceLines(view);
  for (const path of ['source.jsonl', 'run.jsonl', 'explanation_summary.jsonl'] as const) if (!(await hashesTo(lines[path]!, manifest.files[path]?.sha256))) return false;
  return (await sameAs(view, manifest, DESCRIBED)) && (await peopleAreThere(view, folder));
}

/** Whether the catalog has what they said, beside whatever people say here. */
async function peopleAreThere(view: BulkView, folder: CatalogFolder): Promise<boolean> {
  for (const n of await folder.batches('people')) {
    const people = await gathered(mapped(folder.batch('people', n), personOf));
    const known = new Map((await view.people([...new Set(people.map(({ index }) => index))])).map((person) => [`${person.index} ${person.explainer}`, person]));
    for (const person of people) {
      const here = known.get(`${person.index} ${person.explainer}`);
      if (here === undefined || (here.owner === person.owner && (here.description !== person.description || here.weightsHash !== person.weightsHash))) return false;
    }
  }
  return true;
}

async function patchesAreThere(view: BulkView, folder: CatalogFolder): Promise<boolean> {
  for (const n of await folder.batches('patches')) {
    const ids = await gathered(mapped(folder.batch('patches', n), (line) => line.text('id')));
    if ((await view.knownPatches(ids)) < ids.length) return false;
  }
  return true;
}

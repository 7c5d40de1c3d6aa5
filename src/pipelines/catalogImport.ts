import { CallerError } from '../domain/errors.ts';
import type { PatchRun } from '../domain/patch.ts';
import type { Run } from '../domain/run.ts';
import type { BatchFiles } from '../ports/BatchFiles.ts';
import type { BulkCounts, BulkDictionary, BulkSummary, BulkView, CatalogBulk, MeasuredCounts } from '../ports/CatalogBulk.ts';
import type { CatalogReader, ModelRow } from '../ports/CatalogReader.ts';
import type { CatalogWriter } from '../ports/CatalogWriter.ts';
import type { Progress } from '../ports/Progress.ts';
import { CatalogFolder, DESCRIBED, MEASURED, hashesTo, sameAs } from './catalogFolder.ts';
import { foreignSource, type ForeignOptions } from './catalogForeign.ts';
import { dictionaryFolder, type BulkManifest } from './catalogLayout.ts';
import { readManifest } from './catalogManifest.ts';
import { edgeOf, outputEdgeOf, type TokenId } from './catalogParse.ts';
import { sourceLines } from './catalogSource.ts';
import { featuresOf, outcomesOf } from './catalogStreams.ts';
import { LineReader } from './lineReader.ts';

export interface ImportPorts {
  readonly bulk: CatalogBulk;
  readonly reader: CatalogReader;
  readonly writer: CatalogWriter;
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
  if (manifest !== null) await ensureModel(ports, new CatalogFolder(files, path, manifest, null), model);
  const known = (await reader.dictionaries({ model, names: [dictionary] })).find(({ name }) => name === dictionary);
  const work = async (view: BulkView | null): Promise<BulkCounts | null> => {
    const folder = new CatalogFolder(files, path, manifest, view);
    if (view !== null && manifest !== null && view.dictionary.weightsHash === manifest.weightsHash) {
      if (await isThere(view, manifest)) return null;
      if (Object.keys(manifest.filter).length > 0) {
        throw new CallerError('BAD_INPUT', `${path} holds a part of ${model}/${dictionary} (${JSON.stringify(manifest.filter)}), which the catalog has: import it into another catalog, or export it whole`);
      }
    }
    const source = manifest === null ? await foreignSource(reader, folder, model, dictionary, foreign) : await ownSource(folder, manifest);
    const task = progress.start(`import ${model}/${dictionary}`, manifest?.features ?? source.dictionary.nFeatures, 'feature');
    const counts = await bulk.restore({
      dictionary: source.dictionary,
      runs: folder.runs(),
      train: source.train,
      analyse: source.analyse,
      features: featuresOf(folder, source.tokenId, (done) => task.update(done)),
      explanations: source.explainers.map(({ explainer, run }) => ({ explainer, run, outcomes: outcomesOf(folder, explainer, run.key) })),
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
    if (await sameAs(view, manifest, [...MEASURED, 'patches'])) return null;
    const folder = new CatalogFolder(files, path, manifest, view);
    return bulk.restoreMeasured({
      model,
      dictionary,
      runs: folder.runs(),
      edges: mapped(folder.all('edges'), edgeOf),
      outputs: mapped(folder.all('output_edges'), outputEdgeOf),
      patches: mapped(folder.all('patches'), (line) => line.as<PatchRun>()),
    });
  });
}

async function* mapped<T>(lines: AsyncIterable<LineReader>, read: (line: LineReader) => T): AsyncGenerator<T, void, undefined> {
  for await (const line of lines) yield read(line);
}

async function isThere(view: BulkView, manifest: BulkManifest): Promise<boolean> {
  const lines = await sourceLines(view);
  for (const path of ['source.jsonl', 'run.jsonl', 'explanation_summary.jsonl'] as const) if (!(await hashesTo(lines[path]!, manifest.files[path]?.sha256))) return false;
  return sameAs(view, manifest, DESCRIBED);
}

async function ensureModel({ reader, writer }: ImportPorts, folder: CatalogFolder, name: string): Promise<void> {
  const model = (await folder.first('model.jsonl'))?.inner('catalog')?.as<ModelRow>();
  const known = (await reader.models()).find((row) => row.name === name);
  if (known === undefined) {
    if (model === undefined || folder.manifest?.files['token.jsonl.gz']?.elsewhere === true) {
      throw new CallerError('NOT_FOUND', `the catalog has no model ${name}, and this export does not hold all of it: import the export that this one continues first`);
    }
    const tokens: string[] = [];
    for await (const { place, text } of folder.plain('token.jsonl.gz')) {
      const token: unknown = JSON.parse(text);
      if (typeof token !== 'string') throw new CallerError('BAD_INPUT', `${place}: expected a token's text`);
      tokens.push(token);
    }
    await writer.loadModel(model, tokens);
    return;
  }
  if (model === undefined) return;
  for (const hash of ['weightsHash', 'tokenizerHash'] as const) {
    if (known[hash] !== model[hash]) throw new CallerError('STALE_OUTPUT', `the catalog's model ${name} has another ${hash} (${known[hash].slice(0, 12)}…) than the export's (${model[hash].slice(0, 12)}…): import into another catalog`);
  }
}

async function ownSource(folder: CatalogFolder, manifest: BulkManifest): Promise<ImportSource> {
  const dictionary = (await folder.first('source.jsonl'))?.inner('catalog')?.as<BulkDictionary>();
  if (dictionary === undefined) throw new CallerError('NOT_FOUND', `the export of ${manifest.model}/${manifest.dictionary} does not describe the dictionary: import the export that this one continues first`);
  const wanted = new Set([dictionary.trainRun, dictionary.analyseRun, ...manifest.explainers.map(({ run }) => run)]);
  const runs = new Map<string, Run>();
  for await (const run of folder.runs()) if (wanted.has(run.key)) runs.set(run.key, run);
  const runOf = (key: string): Run => {
    const run = runs.get(key);
    if (run === undefined) throw new CallerError('BAD_INPUT', `the export of ${manifest.model}/${manifest.dictionary} names run ${key} and does not hold it: export again`);
    return run;
  };
  const summaries: BulkSummary[] = [];
  for await (const line of folder.plain('explanation_summary.jsonl')) summaries.push(LineReader.of(line).as<BulkSummary>());
  const train = runOf(dictionary.trainRun);
  return {
    dictionary,
    train,
    analyse: dictionary.analyseRun === null ? train : runOf(dictionary.analyseRun),
    explainers: manifest.explainers.map(({ explainer, run }) => ({ explainer, run: runOf(run) })),
    summaries,
    tokenId: () => undefined,
  };
}

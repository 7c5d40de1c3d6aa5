import { CallerError } from '../domain/errors.ts';
import type { Run } from '../domain/run.ts';
import type { BulkLoad, BulkSummary } from '../ports/CatalogBulk.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import type { CatalogFolder } from './catalogFolder.ts';
import { dictionaryOf, modelOf, summaryOf } from './catalogHeads.ts';
import type { ImportSource } from './catalogImport.ts';
import type { BulkManifest } from './catalogLayout.ts';
import { LineReader } from './lineReader.ts';

/** The model where the catalog has none of its name; where it has one, that is the same. */
export async function freshModel(reader: CatalogReader, folder: CatalogFolder, name: string): Promise<BulkLoad['model']> {
  const line = (await folder.first('model.jsonl'))?.inner('catalog') ?? null;
  const model = line === null ? null : modelOf(line);
  if (model !== null && model.name !== name) line!.refuse('name', JSON.stringify(name));
  const known = (await reader.models()).find((row) => row.name === name);
  if (known === undefined) {
    if (model === null || folder.manifest?.files['token.jsonl.gz']?.elsewhere === true) {
      throw new CallerError('NOT_FOUND', `the catalog has no model ${name}, and this export does not hold all of it: import the export that this one continues first`);
    }
    return { row: model, tokens: tokensOf(folder) };
  }
  if (model === null) return null;
  for (const hash of ['weightsHash', 'tokenizerHash'] as const) {
    if (known[hash] !== model[hash]) throw new CallerError('STALE_OUTPUT', `the catalog's model ${name} has another ${hash} (${known[hash].slice(0, 12)}…) than the export's (${model[hash].slice(0, 12)}…): import into another catalog`);
  }
  return null;
}

async function* tokensOf(folder: CatalogFolder): AsyncGenerator<string, void, undefined> {
  for await (const { place, text } of folder.plain('token.jsonl.gz')) {
    // Only a text begins with a quote.
    if (!text.startsWith('"')) throw new CallerError('BAD_INPUT', `${place}: expected a token's text`);
    try {
      yield JSON.parse(text) as string;
    } catch (cause) {
      throw new CallerError('BAD_INPUT', `${place}: expected a token's text`, { cause });
    }
  }
}

/** What an export of this program says of its dictionary. */
export async function ownSource(folder: CatalogFolder, manifest: BulkManifest): Promise<ImportSource> {
  const line = (await folder.first('source.jsonl'))?.inner('catalog') ?? null;
  if (line === null) throw new CallerError('NOT_FOUND', `the export of ${manifest.model}/${manifest.dictionary} does not describe the dictionary: import the export that this one continues first`);
  const dictionary = dictionaryOf(line);
  for (const [column, value] of [['model', manifest.model], ['name', manifest.dictionary], ['weightsHash', manifest.weightsHash]] as const) if (line.text(column) !== value) line.refuse(column, JSON.stringify(value));
  const wanted = new Set([dictionary.trainRun, dictionary.analyseRun, ...manifest.explainers.map(({ run }) => run)]);
  const runs = new Map<string, Run>();
  for await (const run of folder.runs()) if (wanted.has(run.key)) runs.set(run.key, run);
  const runOf = (key: string): Run => {
    const run = runs.get(key);
    if (run === undefined) throw new CallerError('BAD_INPUT', `the export of ${manifest.model}/${manifest.dictionary} names run ${key} and does not hold it: export again`);
    return run;
  };
  const summaries: BulkSummary[] = [];
  for await (const line of folder.plain('explanation_summary.jsonl')) summaries.push(summaryOf(LineReader.of(line)));
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

import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { batchFiles } from '../../src/adapters/files/batchFiles.ts';
import { openBulk } from '../../src/adapters/prisma/bulk.ts';
import { exportDictionary, type ExportedDictionary } from '../../src/pipelines/catalogExport.ts';
import { importDictionary, importMeasured } from '../../src/pipelines/catalogImport.ts';
import { readManifest } from '../../src/pipelines/catalogManifest.ts';
import type { BulkFilter } from '../../src/ports/CatalogBulk.ts';
import type { Progress } from '../../src/ports/Progress.ts';
import type { TestCatalog } from './withCatalog.ts';

const QUIET: Progress = { start: () => ({ update: () => undefined, finish: () => undefined }), say: () => undefined };
/** Dictionaries of the seeded catalog. */
export const NAMES = ['0-tied-r2', '1-tied-r2'];
export const RUN = { key: 'import-catalog-0', stage: 'import-catalog', params: {}, inputs: {}, seed: 0, codeVersion: 'test', startedAt: '2026-01-02T03:04:05.000Z', finishedAt: null, metrics: {} };

/** Exports dictionaries of model `toy`. */
export async function exportTo(catalog: TestCatalog, folder: string, filter: BulkFilter = {}, since: string | null = null, names = NAMES): Promise<ExportedDictionary[]> {
  const bulk = openBulk(catalog.url);
  try {
    const done: ExportedDictionary[] = [];
    for (const name of names) done.push(await exportDictionary(bulk, batchFiles(folder), 'toy', name, filter, since === null ? null : await readManifest(batchFiles(since), `v1/toy/${name}`), QUIET));
    return done;
  } finally {
    await bulk.close();
  }
}

/** Imports dictionaries of model `toy`, then what was measured between them. */
export async function importFrom(catalog: TestCatalog, folder: string, names = NAMES) {
  const bulk = openBulk(catalog.url);
  const ports = { bulk, reader: catalog.reader, files: batchFiles(folder), progress: QUIET };
  try {
    const counts = [];
    for (const name of names) counts.push(await importDictionary(ports, 'toy', name, { hook: null, run: RUN }));
    const measured = [];
    for (const name of names) measured.push(await importMeasured(ports, 'toy', name));
    return { counts, measured };
  } finally {
    await bulk.close();
  }
}

/** sha-256 of every file below a folder, by path. */
export async function bytesOf(folder: string): Promise<Record<string, string>> {
  const answer: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    answer[path.slice(folder.length)] = createHash('sha256').update(await readFile(path)).digest('hex');
  }
  return Object.fromEntries(Object.entries(answer).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Every row of every table that holds what the catalog knows, without the numbers the database gave. */
export async function contentOf(catalog: TestCatalog): Promise<Record<string, unknown>> {
  const D = '(SELECT name FROM dictionary d WHERE d.id = x.dictionary_id)';
  const read: Record<string, string> = {
    model: `SELECT to_jsonb(x) - 'id' AS row FROM model x`,
    dictionary: `SELECT to_jsonb(x) - 'id' - 'model_id' AS row FROM dictionary x`,
    token: `SELECT to_jsonb(x) - 'model_id' AS row FROM token x`,
    run: 'SELECT to_jsonb(x) AS row FROM run x',
    explanation_word: 'SELECT to_jsonb(x) AS row FROM explanation_word x',
    patch_run: 'SELECT to_jsonb(x) AS row FROM patch_run x',
    circuit_edge: `SELECT jsonb_build_array(s.name, x.source_index, t.name, x.target_index, x.effect, x.strength, x.standard_error, x.n, x.run) AS row FROM circuit_edge x JOIN dictionary s ON s.id = x.source_dictionary_id JOIN dictionary t ON t.id = x.target_dictionary_id`,
    output_edge: `SELECT jsonb_build_array(s.name, to_jsonb(x) - 'model_id' - 'source_dictionary_id') AS row FROM output_edge x JOIN dictionary s ON s.id = x.source_dictionary_id`,
  };
  const T = '(SELECT name FROM dictionary t WHERE t.id = x.target_dictionary_id)';
  for (const table of ['nearest_pair', 'nearest_feature']) read[table] = `SELECT jsonb_build_array(${D}, ${T}, to_jsonb(x) - 'dictionary_id' - 'target_dictionary_id') AS row FROM ${table} x`;
  // Lists of text are kept in any order; what each score was measured on is compared instead of their places.
  read['score'] = `SELECT jsonb_build_array(${D}, to_jsonb(x) - 'dictionary_id' - 'judged_on', encode(e.judged_on[x.judged_on + 1], 'hex')) AS row FROM score x JOIN explanation e USING (dictionary_id, "index", explainer)`;
  for (const table of ['feature', 'feature_token', 'exemplar', 'explanation', 'explanation_skip', 'explanation_summary']) read[table] = `SELECT jsonb_build_array(${D}, to_jsonb(x) - 'dictionary_id' - 'judged_on') AS row FROM "${table}" x`;
  const answer: Record<string, unknown> = {};
  for (const [table, text] of Object.entries(read)) answer[table] = (await catalog.sql<{ rows: number; hash: string }>(`SELECT count(*)::int AS rows, md5(string_agg(row::text, '' ORDER BY row::text)) AS hash FROM (${text}) q`))[0];
  return answer;
}

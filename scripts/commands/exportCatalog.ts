import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { batchFiles } from '../../src/adapters/files/batchFiles.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { exportDictionary } from '../../src/pipelines/catalogExport.ts';
import { dictionaryFolder } from '../../src/pipelines/catalogLayout.ts';
import { readManifest } from '../../src/pipelines/catalogManifest.ts';
import type { BulkFilter } from '../../src/ports/CatalogBulk.ts';
import { count, layerList, number } from '../options.ts';
import { withBulk } from '../stages/bulk.ts';
import { openWorkspace } from '../workspace.ts';

interface ExportCatalogFlags {
  readonly model?: string;
  readonly dictionary?: readonly string[];
  readonly layers: 'all' | readonly number[];
  readonly from?: number;
  readonly to?: number;
  readonly minScore?: number;
  readonly explained?: boolean;
  readonly out: string;
  readonly since?: string;
}

export function exportCatalogCommand(program: Command): void {
  program
    .command('export-catalog')
    .description("Write dictionaries' catalog (features, activations, explanations, scores, skips, edges, nearest features, patches, people's explanations) as gzipped JSON lines, in the layout of the field's public exports")
    .option('--model <name>', 'catalog name of the model (default: all)')
    .option('--dictionary <name...>', 'only dictionaries called so')
    .option('--layers <list>', 'only dictionaries of these layers, e.g. 0,2,5 or 0-3', layerList, 'all')
    .option('--from <index>', 'features from this index', count(0))
    .option('--to <index>', 'features below this index', count())
    .option('--min-score <score>', 'only features whose best simulation score is at least this', number(-1, 1))
    .option('--explained', 'only features with an explanation')
    .option('--no-explained', 'only features without one')
    .requiredOption('--out <folder>', 'folder; files in it whose content is the same are left alone')
    .option('--since <folder>', 'an earlier export: batches that are the same there are not written again')
    .action(async (options: ExportCatalogFlags) => {
      const { model, layers } = options;
      const filter: BulkFilter = {
        ...(options.from === undefined ? {} : { from: options.from }),
        ...(options.to === undefined ? {} : { to: options.to }),
        ...(options.minScore === undefined ? {} : { minScore: options.minScore }),
        ...(options.explained === undefined ? {} : { explained: options.explained }),
      };
      if (options.since !== undefined && !(await stat(options.since).then((found) => found.isDirectory(), () => false))) throw new CallerError('NOT_FOUND', `--since ${options.since}: expected the folder of an earlier export`);
      const workspace = openWorkspace();
      await withBulk(workspace, async ({ reader }, bulk) => {
        const rows = (await reader.dictionaries(model === undefined ? {} : { model })).filter(
          (row) => (model === undefined || row.model === model) && (options.dictionary?.includes(row.name) ?? true) && (layers === 'all' || layers.includes(row.layer)),
        );
        if (rows.length === 0) throw new CallerError('NOT_FOUND', 'the catalog has no such dictionary: leave out --dictionary and --layers for all of a model');
        const files = batchFiles(options.out);
        for (const row of rows) {
          const since = options.since === undefined ? null : await readManifest(batchFiles(options.since), dictionaryFolder(row.model, row.name));
          const { features, written, unchanged, removed } = await exportDictionary(bulk, files, row.model, row.name, filter, since, workspace.progress);
          workspace.progress.say(`export-catalog: ${row.model}/${row.name}: ${features} features, ${written} files written, ${unchanged} unchanged${removed > 0 ? `, ${removed} removed` : ''}`);
        }
      });
    });
}

import { createHash } from 'node:crypto';
import type { Command } from 'commander';
import { batchFiles } from '../../src/adapters/files/batchFiles.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { Run } from '../../src/domain/run.ts';
import { importDictionary, importMeasured } from '../../src/pipelines/catalogImport.ts';
import { CODE_VERSION } from '../../src/version.ts';
import { withBulk } from '../stages/bulk.ts';
import { openWorkspace } from '../workspace.ts';
import { hookPoint } from './import.ts';

interface ImportCatalogFlags {
  readonly model?: string;
  readonly dictionary?: readonly string[];
  readonly hook?: HookPoint;
}

export function importCatalogCommand(program: Command): void {
  program
    .command('import-catalog')
    .description('Put exported dictionaries into the catalog, one transaction each: those of export-catalog whole, those of other programs in the same layout as far as they go')
    .argument('<folder>', 'that holds v1/MODEL/DICTIONARY')
    .option('--model <name>', 'only of this model')
    .option('--dictionary <name...>', 'only dictionaries called so')
    .option('--hook <point>', 'where dictionaries read whose files do not say, e.g. resid_post.3', hookPoint)
    .action(async (folder: string, options: ImportCatalogFlags) => {
      const workspace = openWorkspace();
      const { progress } = workspace;
      const files = batchFiles(folder);
      const found: { model: string; dictionary: string }[] = [];
      for (const model of await files.list('v1')) {
        if (model !== (options.model ?? model)) continue;
        for (const dictionary of await files.list(`v1/${model}`)) {
          // Other things may lie beside the folders of dictionaries.
          if ((options.dictionary?.includes(dictionary) ?? true) && (await files.list(`v1/${model}/${dictionary}`)).length > 0) found.push({ model, dictionary });
        }
      }
      if (found.length === 0) throw new CallerError('NOT_FOUND', `${folder} holds no such dictionary: expected v1/MODEL/DICTIONARY, as export-catalog writes`);
      await withBulk(workspace, async ({ reader }, bulk) => {
        const ports = { bulk, reader, files, progress };
        for (const { model, dictionary } of found) {
          const counts = await importDictionary(ports, model, dictionary, { hook: options.hook ?? null, run: importRun(model, dictionary) });
          progress.say(`import-catalog: ${model}/${dictionary}: ${counts === null ? 'there already' : `${counts.features} features, ${counts.exemplars} exemplars, ${counts.explanations} explanations`}`);
        }
        // Edges come from other dictionaries, so these are there first.
        for (const { model, dictionary } of found) {
          const counts = await importMeasured(ports, model, dictionary);
          if (counts === null) continue;
          progress.say(`import-catalog: ${model}/${dictionary}: ${counts.edges} edges, ${counts.outputs} edges to tokens, ${counts.nearest} rows of nearest features, ${counts.patches} patches`);
          for (const [missing, edges] of counts.without) progress.say(`import-catalog: ${model}/${dictionary}: ${edges} edges and rows of nearest features left out: the catalog lacks ${missing}, or has other weights of it; import it, then this again`);
        }
      });
    });
}

/** Where numbers come from of which nothing else is known. */
function importRun(model: string, dictionary: string): Run {
  const now = new Date().toISOString();
  const params = { layout: 'v1', model, dictionary };
  const key = createHash('sha256').update(JSON.stringify([params, now])).digest('hex').slice(0, 16);
  return { key: `import-catalog-${key}`, stage: 'import-catalog', params, inputs: {}, seed: 0, codeVersion: CODE_VERSION, startedAt: now, finishedAt: null, metrics: {} };
}

#!/usr/bin/env node
import { Command } from 'commander';
import { CallerError, OutsideError } from '../src/domain/errors.ts';
import { CODE_VERSION } from '../src/version.ts';
import { analyseCommand } from './commands/analyse.ts';
import { baselinesCommand } from './commands/baselines.ts';
import { buildCommand } from './commands/build.ts';
import { circuitsCommand } from './commands/circuits.ts';
import { demoCommand } from './commands/demo.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { experimentCommand } from './commands/experiment.ts';
import { explainCommand } from './commands/explain.ts';
import { exportCommand } from './commands/export.ts';
import { exportCatalogCommand } from './commands/exportCatalog.ts';
import { graphCommand } from './commands/graph.ts';
import { harvestCommand } from './commands/harvest.ts';
import { importCommand } from './commands/import.ts';
import { importCatalogCommand } from './commands/importCatalog.ts';
import { indexCommand } from './commands/index.ts';
import { keysCommand } from './commands/keys.ts';
import { loadCommand } from './commands/load.ts';
import { nearestCommand } from './commands/nearest.ts';
import { randomiseCommand } from './commands/randomise.ts';
import { reportCommand } from './commands/report.ts';
import { rescoreCommand } from './commands/rescore.ts';
import { serveCommand } from './commands/serve.ts';
import { superpositionCommand } from './commands/superposition.ts';
import { trainCommand } from './commands/train.ts';

const program = new Command('feature-catalog')
  .description('Turns a language model into an enumerable catalog of its features.\nEnvironment: CATALOG_HOME, DATABASE_URL, DEVICE, WORKERS, HOST, PORT, READS, LOG_LEVEL, HF_TOKEN, OPENAI_BASE_URL, OPENAI_API_KEY, EXPLAIN_MODEL,\nJUDGE_MODEL, EMBEDDING_MODEL, MEILI_URL, MEILI_KEY, MEILI_INDEX (README.md says what each is).')
  .version(CODE_VERSION)
  .showHelpAfterError('(add --help for all options)');

for (const add of [demoCommand, buildCommand, harvestCommand, trainCommand, baselinesCommand, evaluateCommand, superpositionCommand, analyseCommand, explainCommand, rescoreCommand, circuitsCommand, graphCommand, nearestCommand, experimentCommand, loadCommand, indexCommand, reportCommand, importCommand, exportCommand, exportCatalogCommand, importCatalogCommand, serveCommand, keysCommand, randomiseCommand]) add(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong in the words that fit its kind; returns the exit status. */
function report(error: unknown): number {
  if (error instanceof CallerError) {
    console.error(`error: ${error.message} [${error.code}]`);
    // A stop that was asked for is no mistake: scripts tell it by its status.
    return error.code === 'BUDGET_REACHED' ? 4 : 2;
  }
  if (error instanceof OutsideError) {
    console.error(`error: ${error.system}: ${error.message}\nFinished stages are kept: the same command continues.`);
    return 3;
  }
  if (error instanceof Error && 'syscall' in error && 'path' in error) {
    // The file system said no where no adapter had more to say about it.
    console.error(`error: disk: ${error.message}: check CATALOG_HOME and the space left. Finished stages are kept.`);
    return 3;
  }
  console.error('internal error, please report it with the lines below:');
  console.error(error);
  return 70;
}

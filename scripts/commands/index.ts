import type { Command } from 'commander';
import { indexStage } from '../stages/index.ts';
import { openWorkspace } from '../workspace.ts';

interface IndexOptions {
  readonly rebuild?: boolean;
  readonly follow?: boolean;
  readonly synonyms?: string;
}

export function indexCommand(program: Command): void {
  program
    .command('index')
    .description('Bring the search index of MEILI_URL in step with the catalog: build it where there is none, else tell it what changed.\nThe server does the latter by itself; with EMBEDDING_MODEL set the index also holds vectors, for search by meaning')
    .option('--rebuild', 'build it anew beside the one that answers, and put it in its place at the end')
    .option('--follow', 'then keep it in step until interrupted')
    .option('--synonyms <file>', 'JSON: groups of words that count as one another, [["bracket", "parenthesis"], …]; kept in the index, and by a rebuild without this option')
    .action(async (options: IndexOptions) => {
      await indexStage(openWorkspace(), { rebuild: options.rebuild === true, follow: options.follow === true, synonyms: options.synonyms });
    });
}

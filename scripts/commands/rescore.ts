import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { CallerError, messageOf } from '../../src/domain/errors.ts';
import { RESCORE_TOLERANCE, rescoreRecords, type Rescored } from '../../src/pipelines/rescoreRecords.ts';
import { fixed, table } from '../table.ts';

export function rescoreCommand(program: Command): void {
  program
    .command('rescore <file...>')
    .description('Recompute the scores of published simulations (Bills et al. 2023: NeuronSimulationResults JSON) and compare them with those in the files')
    .option('--all', 'show every text, not only the scores over all texts and what differs', false)
    .option('--json', 'print everything as JSON', false)
    .action(async (files: readonly string[], { all, json }: { readonly all: boolean; readonly json: boolean }) => {
      const scores: Rescored[] = [];
      for (const file of files) scores.push(...rescoreRecords(file, await textOf(file)));
      console.log(json ? JSON.stringify(scores, null, 2) : report(scores, all));
      if (scores.some(differs)) process.exitCode = 1;
    });
}

function differs({ difference }: Rescored): boolean {
  return difference !== null && difference > RESCORE_TOLERANCE;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CallerError('NOT_FOUND', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function report(scores: readonly Rescored[], all: boolean): string {
  const shown = scores.filter((score) => all || score.over === 'pooled' || differs(score));
  const rows = shown.map((score) => [score.place, score.score, String(score.n), fixed(score.published, 6), fixed(score.recomputed, 6), difference(score)]);
  const compared = scores.filter((score) => score.difference !== null);
  const greatest = compared.reduce((most, score) => Math.max(most, score.difference ?? 0), 0);
  const off = scores.filter(differs).length;
  const verdict = off === 0 ? `all agree within ${RESCORE_TOLERANCE}` : `${off} differ by more than ${RESCORE_TOLERANCE}`;
  return `${table(['simulation', 'score', 'tokens', 'published', 'recomputed', 'difference'], rows)}\n\n${compared.length} of ${scores.length} scores could be compared; greatest difference ${greatest.toExponential(1)}: ${verdict}`;
}

function difference(score: Rescored): string {
  if (score.difference === null) return 'none published';
  return `${score.difference.toExponential(1)}${differs(score) ? ' !' : ''}`;
}

import type { Command } from 'commander';
import { count, seedOption } from '../options.ts';
import { evaluateStage, type EvaluateMetrics } from '../stages/evaluate.ts';
import { fileText } from '../stages/textSources.ts';
import { fixed, percent, table } from '../table.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface EvaluateFlags {
  readonly set: string[];
  readonly dictionary: string[];
  readonly folder: string[];
  readonly text?: string[];
  readonly context: number;
  readonly maxTokens: number;
  readonly skipPositions: number;
  readonly compare: boolean;
  readonly json: boolean;
  readonly seed: number;
}

export function evaluateCommand(program: Command): void {
  withModelOptions(program.command('evaluate'))
    .description('Measure dictionaries on held-out text: reconstruction, sparsity, what splicing them into the model costs, and how alike they are')
    .option('--set <name...>', 'sets of dictionaries (default, when no --dictionary and no --folder is given: tied-r4)')
    .option('--dictionary <name...>', 'single dictionaries by name, e.g. 2-tied-r4', [])
    .option('--folder <folder...>', 'folders of dictionaries (cfg.json and weights.safetensors)', [])
    .option('--text <file...>', 'text the dictionaries were not trained on (default: the rows that training left)')
    .option('--context <tokens>', 'tokens per row of --text', count(2), 128)
    .option('--max-tokens <count>', 'tokens to read at most, in rows drawn at random', count(), 32_768)
    .option('--skip-positions <count>', 'first positions of every row neither replaced nor measured (0: all take part, as in the paper)', count(0), 0)
    .option('--no-compare', 'leave out the comparison of directions between the dictionaries')
    .option('--json', 'print everything measured as JSON', false)
    .addOption(seedOption())
    .action(async (options: ModelOptions & EvaluateFlags) => {
      const { set, dictionary, folder, text, json, ...rest } = options;
      const sets = set ?? (dictionary.length + folder.length === 0 ? ['tied-r4'] : []);
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        const { evaluated, dir } = await evaluateStage(workspace, located, model, tokenizer, { sets, names: dictionary, folders: folder }, { ...rest, text: text === undefined ? null : fileText(text), workers: options.workers });
        console.log(json ? JSON.stringify(evaluated, null, 2) : `${report(evaluated)}\n\neverything measured: ${dir}`);
      });
    });
}

/** Pairs shown; with more of them the most alike. All are in the run's folder. */
const PAIRS_SHOWN = 20;

function report({ tokens, forwardRuns, dictionaries, comparisons }: EvaluateMetrics): string {
  const quality = table(
    ['dictionary', 'F', 'FVU', 'L0', 'dead', 'cosine', 'l2 ratio', 'bias', 'CE recovered', 'from mean', 'KL recovered', 'perplexity'],
    dictionaries.map(({ dictionary, nFeatures, fvu, l0, deadShare, reconstruction, splice }) => [
      dictionary, String(nFeatures), fixed(fvu, 4), fixed(l0, 1), percent(deadShare), fixed(reconstruction.cosine, 4), fixed(reconstruction.l2Ratio, 4), fixed(reconstruction.relativeBias, 4),
      percent(splice.ceRecovered, 2), percent(splice.ceRecoveredFromMean, 2), percent(splice.klRecovered, 2), `${fixed(splice.perplexityOriginal, 2)} → ${fixed(splice.perplexitySpliced, 2)}`,
    ]),
  );
  const alike = table(
    ['directions', 'MMCS', 'back', '> 0.9', 'back', 'one to one', '> 0.9'],
    (comparisons.length > PAIRS_SHOWN ? comparisons.toSorted((a, b) => b.aToB.mmcs + b.bToA.mmcs - a.aToB.mmcs - a.bToA.mmcs).slice(0, PAIRS_SHOWN) : comparisons).map(({ a, b, aToB, bToA, matching }) => [
      `${a} – ${b}`, fixed(aToB.mmcs, 4), fixed(bToA.mmcs, 4), percent(aToB.shareAbove), percent(bToA.shareAbove), fixed(matching?.mean ?? null, 4), percent(matching?.shareAbove ?? null),
    ]),
  );
  const unseen = comparisons.length > PAIRS_SHOWN ? `\n${comparisons.length - PAIRS_SHOWN} less alike pairs are not shown` : '';
  const { mean, original, replaced } = forwardRuns;
  const read = `${tokens} tokens; ${mean} forward runs for means, ${original} untouched, ${replaced} with something replaced`;
  return [quality, ...(comparisons.length === 0 ? [] : [alike + unseen]), read].join('\n\n');
}

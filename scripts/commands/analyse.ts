import type { Command } from 'commander';
import { CallerError } from '../../src/domain/errors.ts';
import { PAPER } from '../../src/interp/paperProtocol.ts';
import { count, protocolOption, seedOption, setOption } from '../options.ts';
import { analyseStage } from '../stages/analyse.ts';
import { fileText } from '../stages/textSources.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface AnalyseFlags extends ModelOptions {
  readonly set: string;
  readonly maxTokens?: number;
  readonly seed: number;
  readonly protocol?: 'paper';
  readonly text?: readonly string[];
  readonly documents: number;
}

export function analyseCommand(program: Command): void {
  withModelOptions(program.command('analyse'))
    .description('Read the text that training left: exemplars, densities, histograms, output tokens and neighbours of every feature')
    .addOption(setOption())
    .option('--max-tokens <count>', 'tokens to read at most (default: all rows that training left)', count())
    .addOption(protocolOption("paper: read one 64-token fragment of each document of --text instead, as Cunningham et al. 2023 did for interpretation"))
    .option('--text <files...>', 'with --protocol paper: .jsonl (a string field "text" on each line) or plain text, one after another')
    .option('--documents <count>', 'with --protocol paper: the first so many documents', count(), PAPER.documents)
    .addOption(seedOption())
    .action(async (options: AnalyseFlags) => {
      const { protocol, text, documents, seed, maxTokens } = options;
      if (protocol === undefined && text !== undefined) throw new CallerError('BAD_INPUT', '--text is for --protocol paper: without it, analyse reads the rows that training left');
      if (protocol === 'paper' && text === undefined) throw new CallerError('BAD_INPUT', '--protocol paper reads a text of its own: give it with --text docs.jsonl');
      if (protocol === 'paper' && maxTokens !== undefined) throw new CallerError('BAD_INPUT', '--protocol paper reads whole documents: give --documents instead of --max-tokens');
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        const paper = text === undefined ? undefined : { text: fileText(text), documents, tokenizer };
        await analyseStage(workspace, located, model, options.set, { maxTokens: maxTokens ?? null, seed }, paper);
      });
    });
}

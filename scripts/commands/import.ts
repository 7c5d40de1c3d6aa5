import { relative } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { FOREIGN_FORMATS } from '../../src/adapters/formats/openForeign.ts';
import { parseHookPoint, type HookPoint } from '../../src/domain/hookPoint.ts';
import { messageOf } from '../../src/domain/errors.ts';
import { count, number, seedOption } from '../options.ts';
import { analyseStage } from '../stages/analyse.ts';
import { importStage, locateDictionary, textSoFar } from '../stages/import.ts';
import { loadStage } from '../stages/load.ts';
import { fileText } from '../stages/textSources.ts';
import { tokensStage } from '../stages/tokens.ts';
import { openWorkspace } from '../workspace.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface ImportFlags {
  readonly hook?: HookPoint;
  readonly outputHook?: HookPoint;
  readonly set?: string;
  readonly format: string;
  readonly normFactor?: number;
  readonly centred: 'auto' | 'yes' | 'no';
  readonly force: boolean;
  readonly text?: string[];
  readonly context: number;
  readonly tokens?: number;
  readonly maxTokens?: number;
  readonly registerOnly: boolean;
  readonly seed: number;
}

export function importCommand(program: Command): void {
  withModelOptions(program.command('import'))
    .description("Take a dictionary of another library (a folder or hub id) into the catalog: recognised, checked against the model, analysed on the text and loaded")
    .argument('<source>', 'folder, or hub id OWNER/NAME[:FOLDER][@REVISION]')
    .option('--hook <point>', 'hook point it reads, where its files do not say, e.g. resid_post.3', hookPoint)
    .option('--output-hook <point>', 'hook point a transcoder writes, where its files do not say', hookPoint)
    .option('--set <name>', "last part of the dictionaries' names, {layer}-{set} (default: the format's name)")
    .addOption(new Option('--format <name>', 'format of the files').choices(['auto', ...FOREIGN_FORMATS]).default('auto'))
    .option('--norm-factor <number>', 'what activations were multiplied by in training, for SAELens dictionaries that leave it out of the weights', number(1e-12, 1e12))
    .addOption(new Option('--centred <answer>', 'whether it was trained on x − mean(x), as TransformerLens makes it of LayerNorm models; auto: as its files say').choices(['auto', 'yes', 'no']).default('auto'))
    .option('--force', 'take it although its files name another model or hook point', false)
    .option('--text <file...>', 'text to find exemplars in: .txt, or .jsonl with a string field "text" (default: the text of the model\'s other dictionaries)')
    .option('--context <tokens>', 'tokens per row of --text', count(2), 128)
    .option('--tokens <count>', 'tokens of --text at most (default: the whole text)', count())
    .option('--max-tokens <count>', 'tokens to analyse at most (default: all)', count())
    .option('--register-only', 'stop before analysing and loading', false)
    .addOption(seedOption())
    .action(async (source: string, options: ModelOptions & ImportFlags) => {
      // Before the model is opened, which takes longer.
      const place = await locateDictionary(openWorkspace(), source);
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        const text = options.text === undefined ? null : await tokensStage(workspace, fileText(options.text), tokenizer, model.info.vocabSize, { context: options.context, maxTokens: options.tokens ?? null });
        const rows = text === null ? await textSoFar(workspace, located.name) : { tokens: relative(workspace.config.home, text.dir), trainRows: 0 };
        const { names } = await importStage(workspace, located, model, place, rows, {
          hook: options.hook ?? null,
          output: options.outputHook ?? null,
          set: options.set ?? null,
          format: options.format === 'auto' ? null : options.format,
          normFactor: options.normFactor ?? null,
          centred: options.centred === 'auto' ? null : options.centred === 'yes',
          force: options.force,
        });
        if (options.registerOnly) return;
        for (const set of new Set(names.map((name) => name.replace(/^\d+-/, '')))) {
          await analyseStage(workspace, located, model, set, { maxTokens: options.maxTokens ?? null, seed: options.seed });
          await loadStage(workspace, located, model.info, tokenizer, set);
        }
      });
    });
}

/** A hook point on the command line. */
export function hookPoint(text: string): HookPoint {
  try {
    parseHookPoint(text);
    return text as HookPoint;
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

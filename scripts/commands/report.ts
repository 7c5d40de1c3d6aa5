import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { htmlFeatureTable } from '../../src/adapters/report/featureTable.ts';
import { htmlInterpReport } from '../../src/adapters/report/interpReport.ts';
import { readConfig } from '../../src/config.ts';
import { checkName } from '../../src/domain/address.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { PAPER } from '../../src/interp/paperProtocol.ts';
import type { InterpReportData } from '../../src/ports/InterpReport.ts';
import { count, layerList, number, seedOption } from '../options.ts';
import { featureTable } from '../stages/featureTable.ts';
import { DEFAULT_METHODS } from '../stages/interpMethods.ts';
import { interpStage } from '../stages/interpReport.ts';
import { fileText } from '../stages/textSources.ts';
import { fixed, table } from '../table.ts';
import { locateModel, openWorkspace } from '../workspace.ts';
import { explainChoiceOf, withExplainOptions, type ExplainFlags } from './explainOptions.ts';
import { withModelOptions, type ModelOptions } from './shared.ts';

export function reportCommand(program: Command): void {
  const report = program.command('report').description('Comparisons and tables for people to read, as files that need no server and no network');
  interpCommand(report);
  featuresCommand(report);
}

interface InterpFlags extends ModelOptions, ExplainFlags {
  readonly text?: string[];
  readonly context: number;
  readonly tokens?: number;
  readonly trainShare: number;
  readonly layers: 'all' | number[];
  readonly methods: string[];
  readonly maxTokens?: number;
  readonly documents: number;
  readonly out: string;
  readonly seed: number;
}

function interpCommand(report: Command): void {
  withExplainOptions(withModelOptions(report.command('interp')))
    .description('Compare the interpretability of dictionary features with that of PCA, ICA, dimensions, random directions and a random-weights control; makes what is missing')
    .option('--methods <list>', 'the first set of dictionaries is what the others are compared with; any of sets, pca, ica, nmf, neuron, random, control (random weights), control-embedded (embeddings kept)', (text: string) => text.split(','), DEFAULT_METHODS)
    .option('--layers <list>', 'all, or e.g. 0,2,5 or 0-3', layerList, 'all')
    .option('--text <file...>', "text to make and analyse everything with (default: that of the dictionaries; the demo's for the bundled model)")
    .option('--context <tokens>', 'tokens per row of --text', count(2), 128)
    .option('--tokens <count>', 'tokens of --text at most (default: all of it)', count())
    .option('--train-share <0..1>', 'share of the rows of --text that dictionaries and baselines are made from; the rest is for analysis', number(0.01, 1), 0.8)
    .option('--max-tokens <count>', 'tokens to analyse at most (default: all rows that training left)', count())
    .option('--documents <count>', 'with --protocol paper, which analyses --text: the first so many documents', count(), PAPER.documents)
    .addOption(seedOption())
    .option('--out <file>', 'the report; .md and .json of the same name are written beside it', 'report.html')
    .action(async (options: InterpFlags) => {
      const { text, protocol, seed, documents } = options;
      if (protocol === 'paper' && text === undefined) throw new CallerError('BAD_INPUT', '--protocol paper analyses a text of its own: give it with --text docs.jsonl');
      const workspace = openWorkspace();
      const located = await locateModel(workspace, options);
      const source = text === undefined ? null : fileText(text);
      const data = await interpStage(workspace, located, {
        model: options,
        methods: options.methods,
        layers: options.layers,
        text: { text: protocol === 'paper' ? null : source, tokens: { context: options.context, maxTokens: options.tokens ?? null }, trainShare: options.trainShare },
        analyse: { maxTokens: options.maxTokens ?? null, seed },
        paper: protocol === 'paper' && source !== null ? { text: source, documents } : null,
        explain: explainChoiceOf({ ...options, features: options.features ?? PAPER.features }),
        seed,
      });
      const files = await htmlInterpReport().write(resolve(options.out), data);
      console.log(`${summary(data)}\n\n${files.join('\n')}`);
    });
}

/** The first instrument's means, and what they say. */
function summary({ instruments, methods }: InterpReportData): string {
  const [first] = instruments;
  if (first === undefined) return 'no feature was explained and scored';
  const layers = [...new Set(first.estimates.map(({ layer }) => layer))];
  const cells = methods.map(({ name }) => [
    name,
    ...layers.map((layer) => {
      const mean = first.estimates.find((one) => one.layer === layer && one.method === name)?.of.scored;
      return mean === undefined ? '–' : `${fixed(mean.mean, 3)}${mean.halfWidth === null ? '' : ` ± ${mean.halfWidth.toFixed(3)}`}`;
    }),
  ]);
  return [`${first.label} (${first.scorer}, judged by ${first.judge}), features scored`, table(['method', ...layers.map((layer) => (layer === null ? 'mean' : `layer ${layer}`))], cells), ...first.verdicts].join('\n');
}

interface FeaturesFlags {
  readonly model: string;
  readonly dictionary: string[];
  readonly features: number;
  readonly order: 'index' | 'score';
  readonly explainer?: string;
  readonly exemplars: number;
  readonly out: string;
}

function featuresCommand(report: Command): void {
  report
    .command('features')
    .description("A table of sample features from the catalog's database: descriptions, scores, strongest text (the paper's Table 1)")
    .requiredOption('--model <name>', 'catalog name of the model')
    .requiredOption('--dictionary <name...>', 'dictionaries, e.g. 1-tied-r4')
    .option('--features <count>', 'features of each', count(), 10)
    .addOption(new Option('--order <how>', 'index: the first ones, as the paper (a fair sample); score: the best scored').choices(['index', 'score']).default('index'))
    .option('--explainer <name>', 'only descriptions by this explainer, e.g. pattern-v1 (default: all)')
    .option('--exemplars <count>', 'windows of text of each feature', count(), 3)
    .option('--out <file>', 'the table; .md of the same name is written beside it', 'features.html')
    .action(async ({ model, dictionary, features, order, explainer, exemplars, out }: FeaturesFlags) => {
      const { home, databaseUrl } = readConfig();
      const catalog = await openCatalog({ home, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
      try {
        const data = await featureTable(catalog.reader, { model: checkName('model', model), dictionaries: dictionary, features, order, explainer: explainer ?? null, exemplars });
        console.log((await htmlFeatureTable().write(resolve(out), data)).join('\n'));
      } finally {
        await catalog.close();
      }
    });
}

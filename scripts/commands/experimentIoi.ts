import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { htmlIoiReport } from '../../src/adapters/report/ioiReport.ts';
import { IOI_DEFAULTS, IOI_PROMPTS } from '../../src/pipelines/ioiOptions.ts';
import type { IoiEstimate, IoiOrdering, IoiReportData } from '../../src/ports/IoiReport.ts';
import { count, layerList, number, seedOption } from '../options.ts';
import { ioiStage } from '../stages/ioi.ts';
import { fileText } from '../stages/textSources.ts';
import { fixed, table } from '../table.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface IoiFlags extends ModelOptions {
  readonly methods?: string[];
  readonly l1: number[];
  readonly ratio: number;
  readonly maxVectors?: number;
  readonly layers: 'all' | number[];
  readonly prompts: number;
  readonly names?: string;
  readonly ordering: IoiOrdering | 'both';
  readonly thresholds: number;
  readonly highest: number;
  readonly gradientSteps: number;
  readonly batchTokens: number;
  readonly text?: string[];
  readonly context: number;
  readonly tokens?: number;
  readonly trainShare: number;
  readonly seed: number;
  readonly out?: string;
}

export function experimentIoiCommand(group: Command): void {
  const D = IOI_DEFAULTS;
  withModelOptions(group.command('ioi'))
    .description('How many features must be patched, and how strongly, to change whom the model expects to be given something: dictionaries against PCA (section 4.2 of the paper); trains and fits what is missing')
    .option('--methods <name...>', 'sets of dictionaries, and pca (components with both signs) or pca-nonneg (one sign at a time); default: every trained set there is, and both')
    .option('--l1 <coefficient...>', 'also tied dictionaries of these sparsity coefficients, trained where they are missing, e.g. --l1 0 2e-3 3e-2', (text: string, before: number[]) => [...before, number(0, 1e6)(text)], [])
    .option('--ratio <R>', 'features per dimension of those', number(1e-6, 4096), 4)
    .option('--max-vectors <count>', 'vectors they are trained on at most (default: all)', count())
    .option('--layers <list>', 'all, or e.g. 0,2,5 or 0-3', layerList, 'all')
    .option('--prompts <count>', 'pairs of prompts (the paper: 50)', count(2), IOI_PROMPTS)
    .option('--names <file>', 'first names, one a line, instead of ours; those that are one token of the model are used')
    .addOption(new Option('--ordering <which>', 'threshold: the paper; attribution: by gradient, decided by no seed').choices(['threshold', 'attribution', 'both']).default('both'))
    .option('--thresholds <count>', 'thresholds from 1e-5 to --highest', count(), D.thresholds)
    .option('--highest <nats>', 'the highest threshold (the paper: 1)', number(1e-4, 1e3), D.highest)
    .option('--gradient-steps <count>', 'gradients averaged for the attribution, between nothing and everything patched (1: the unedited run)', count(), D.gradientSteps)
    .option('--batch-tokens <count>', 'tokens of one forward run', count(), D.batchTokens)
    .option('--text <file...>', "text to train and fit on (default: that of the dictionaries; the demo's for the bundled model)")
    .option('--context <tokens>', 'tokens per row of --text', count(2), 128)
    .option('--tokens <count>', 'tokens of --text at most (default: all of it)', count())
    .option('--train-share <0..1>', 'share of the rows of --text to train on', number(0.01, 1), 0.8)
    .addOption(seedOption())
    .option('--out <file>', "the page; .json of the same name is written beside it (default: ioi.html in the run's folder)")
    .action(async (flags: IoiFlags) => {
      await usingModel(flags, async ({ workspace, located, model, tokenizer }) => {
        const { methods, ratio, maxVectors, layers, prompts, names, ordering, thresholds, highest, gradientSteps, batchTokens, seed, out } = flags;
        const choice = {
          methods: methods ?? null, l1: flags.l1, ratio, maxVectors: maxVectors ?? null, layers, prompts, names: names ?? null, device: flags.device, workers: flags.workers, seed,
          text: { text: flags.text === undefined ? null : fileText(flags.text), tokens: { context: flags.context, maxTokens: flags.tokens ?? null }, trainShare: flags.trainShare },
        }; // prettier-ignore
        const options = { orderings: ordering === 'both' ? D.orderings : [ordering], thresholds, highest, gradientSteps, batchTokens, seed };
        const { data, dir } = await ioiStage(workspace, { located, model, tokenizer }, choice, options);
        const files = await htmlIoiReport().write(out === undefined ? join(dir, 'ioi.html') : resolve(out), data);
        console.log(`${summary(data)}\n\nfigures: ${files.join(', ')}\neverything measured: ${dir}`);
      });
    });
}

function summary({ curves, facts, verdicts }: IoiReportData): string {
  const orderings = [...new Set(curves.map(({ ordering }) => ordering))];
  const parts = orderings.map((ordering) => {
    const rows = curves.filter((curve) => curve.ordering === ordering).map(({ layer, method, active, units, points, levels, area, cost }) => [
      `${layer} ${method}`, `${active}/${units}`, fixed(points.at(-1)!.kl, 3), ...levels.map(({ patched }) => estimate(patched, 0)), fixed(levels[0].magnitude.value, 2), estimate(area, 3), String(cost.runs), String(cost.sets), cost.seconds.toFixed(1),
    ]); // prettier-ignore
    const shares = curves[0].levels.map(({ share }) => `to ${Math.round(100 * share)} %`);
    return `${ordering} ordering: features patched until the KL is at most so much of the unpatched one\n${table(['layer, dictionary', 'differ/all', 'KL all', ...shares, 'edit at 50 %', 'area', 'runs', 'sets', 's'], rows)}`;
  });
  return [...parts, verdicts.join('\n'), facts.map(([label, value]) => `${label}: ${value}`).join('\n')].join('\n\n');
}

function estimate({ value, interval }: IoiEstimate, digits: number): string {
  return `${fixed(value, digits)}${interval === null ? '' : ` [${interval.low.toFixed(digits)}, ${interval.high.toFixed(digits)}]`}`;
}

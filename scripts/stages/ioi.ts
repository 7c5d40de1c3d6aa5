import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { documentStart } from '../../src/catalog/prompt.ts';
import { PEOPLE } from '../../src/corpus/names.ts';
import { CallerError, messageOf } from '../../src/domain/errors.ts';
import { runIoi } from '../../src/pipelines/ioi.ts';
import type { IoiOptions } from '../../src/pipelines/ioiOptions.ts';
import { ioiPrompts, singleTokenNames } from '../../src/pipelines/ioiPrompts.ts';
import { ioiReportData } from '../../src/pipelines/ioiReport.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import type { IoiCurve, IoiReportData } from '../../src/ports/IoiReport.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { ioiDictionaries, type IoiMethodChoice } from './ioiDictionaries.ts';

/** Names below which prompts begin to repeat themselves. */
const MANY_NAMES = 10;

export interface IoiChoice extends IoiMethodChoice {
  /** File of first names, one a line; null = ours. */
  readonly names: string | null;
  readonly prompts: number;
}

/** Makes what is missing, measures, and says what was found; `dir` is the run's folder. */
export async function ioiStage(workspace: Workspace, opened: { located: LocatedModel; model: GradientModel; tokenizer: Tokenizer }, choice: IoiChoice, options: IoiOptions): Promise<{ data: IoiReportData; dir: string }> {
  const { runs, artefacts, progress } = workspace;
  const { located, model, tokenizer } = opened;
  const names = choice.names === null ? PEOPLE.map(({ name }) => name) : await readNames(choice.names);
  const single = singleTokenNames(tokenizer, names);
  const pairs = ioiPrompts(tokenizer, { names, count: choice.prompts, seed: options.seed, start: documentStart(tokenizer) });
  if (single.length < MANY_NAMES) progress.say(`ioi: only ${single.length} of ${names.length} names are one token of this model (${single.join(', ')})`);
  const { methods, dictionaries } = await ioiDictionaries({ workspace, ...opened }, choice);
  const { seed, ...params } = options;
  const result = await runStage(
    { store: runs, progress },
    {
      stage: 'ioi',
      params: { ...params, model: model.info.name, prompts: choice.prompts, names: choice.names === null ? 'ours' : single, methods: dictionaries.map(({ method, layer, signed }) => ({ method, layer, signed })) },
      inputs: { model: model.info.weightsHash, tokenizer: tokenizer.hash, ...Object.fromEntries(dictionaries.map(({ weights: { config } }) => [config.name, config.weightsHash])) },
      seed,
    },
    async (run) => {
      await artefacts.writeRecords(join(run.dir, 'prompts.ndjson'), pairs.map(({ baseIds: _base, counterfactualIds: _counterfactual, ...pair }) => pair));
      const { curves, ...found } = await runIoi({ model, pairs, dictionaries, artefacts, progress, dir: run.dir, options });
      return { ...found, curves: curves.length };
    },
  );
  const curves: IoiCurve[] = [];
  for await (const curve of artefacts.readRecords<IoiCurve>(join(result.dir, 'curves.ndjson'))) curves.push(curve);
  const { behaviour, unpatchedKl, wholeRunSeconds } = result.run.metrics as unknown as { behaviour: { base: number; counterfactual: number }; unpatchedKl: number; wholeRunSeconds: number };
  const data = ioiReportData({ model: located.name, methods, curves, run: result.run, prompts: pairs, names: single.length, behaviour, unpatchedKl, wholeRunSeconds });
  return { data, dir: result.dir };
}

async function readNames(path: string): Promise<string[]> {
  try {
    return [...new Set((await readFile(path, 'utf8')).split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== ''))];
  } catch (cause) {
    throw new CallerError('NOT_FOUND', `--names ${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

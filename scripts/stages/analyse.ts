import { join, relative } from 'node:path';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { analyse } from '../../src/pipelines/analyse.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { openSet, type SetMember } from './dictionarySet.ts';
import type { TextSource } from './textSources.ts';
import { paperTokensStage, withTokens } from './tokens.ts';

export interface AnalyseOptions {
  /** Tokens to read, taken from the rows that training left; null = all of them. */
  readonly maxTokens: number | null;
  readonly seed: number;
}

/** Text for the paper's protocol (src/interp/paperProtocol.ts). */
export interface PaperChoice {
  readonly text: TextSource;
  readonly documents: number;
  readonly tokenizer: Tokenizer;
}

/** The text an analysis reads, and where it lies. */
interface AnalysedText {
  /** Run folder of the token rows. */
  readonly dir: string;
  readonly rows: { readonly from: number; readonly to: number };
  /** Which protocol cut the text; absent for rows of running text. */
  readonly protocol?: 'paper';
}

/**
 * One pass over the rows that training left, for all dictionaries of a set that were trained together; with `paper`, over fragments
 * of a text of its own.
 */
export async function analyseStage(workspace: Workspace, located: LocatedModel, model: SubjectModel, set: string, options: AnalyseOptions, paper?: PaperChoice): Promise<StageResult> {
  const { config, runs, artefacts, progress } = workspace;
  const members = await openSet(workspace, located.name, set);
  const text = paper === undefined ? await leftByTraining(config.home, members, set, options.maxTokens) : await paperText(workspace, paper, model.info.vocabSize, options.seed);
  const { rows, protocol } = text;
  return withTokens(text.dir, async (tokens) => {
    const inputs = Object.fromEntries(members.map(({ name, weights }) => [name, weights.config.weightsHash]));
    const result = await runStage(
      { store: runs, progress },
      { stage: 'analyse', params: { rows, set, protocol }, inputs: { ...inputs, model: model.info.weightsHash, tokens: tokens.hash }, seed: options.seed },
      async (run) => {
        const analysed = await analyse({ model, dictionaries: members.map(({ weights }) => weights), tokens, rows, artefacts, progress, dir: run.dir, seed: options.seed });
        return { tokens: (rows.to - rows.from) * tokens.cols, dictionaries: analysed };
      },
    );
    const analysed = relative(config.home, result.dir);
    await updateCurrentRuns(config.home, located.name, located.source, (current) => {
      const dictionaries = { ...current.dictionaries };
      for (const { name } of members) {
        const before = dictionaries[name]!;
        const { analysedTokens: _, ...kept } = before;
        const other = protocol === undefined ? {} : { analysedTokens: relative(config.home, text.dir) };
        dictionaries[name] = { ...kept, ...other, analyse: analysed, explain: before.analyse === analysed ? before.explain : {} };
      }
      return { ...current, dictionaries };
    });
    return result;
  });
}

async function leftByTraining(home: string, members: readonly SetMember[], set: string, maxTokens: number | null): Promise<AnalysedText> {
  const { tokens: run, trainRows } = oneText(members, set);
  const dir = join(home, run);
  return withTokens(dir, async (tokens) => {
    const wanted = maxTokens === null ? Infinity : Math.ceil(maxTokens / tokens.cols);
    const rows = { from: trainRows, to: Math.min(tokens.rows, trainRows + wanted) };
    if (rows.to <= rows.from) throw new CallerError('BAD_INPUT', `the token file has ${tokens.rows} rows and training took ${trainRows}: tokenise more text, or train on less`);
    return { dir, rows };
  });
}

async function paperText(workspace: Workspace, { text, documents, tokenizer }: PaperChoice, vocabSize: number, seed: number): Promise<AnalysedText> {
  const { dir } = await paperTokensStage(workspace, { text, documents, seed }, tokenizer, vocabSize);
  const rows = await withTokens(dir, async (tokens) => ({ from: 0, to: tokens.rows }));
  return { dir, rows, protocol: 'paper' };
}

function oneText(members: readonly SetMember[], set: string): { tokens: string; trainRows: number } {
  const [first, ...others] = members.map(({ current }) => ({ tokens: current.tokens, trainRows: current.trainRows }));
  if (others.some((other) => other.tokens !== first!.tokens || other.trainRows !== first!.trainRows)) {
    throw new CallerError('BAD_INPUT', `the dictionaries of set ${set} were trained on different texts: train them together, or under different --set names`);
  }
  return first!;
}

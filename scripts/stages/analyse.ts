import { join, relative } from 'node:path';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { analyse } from '../../src/pipelines/analyse.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { openSet, type SetMember } from './dictionarySet.ts';
import { withTokens } from './tokens.ts';

export interface AnalyseOptions {
  /** Tokens to read, taken from the rows that training left; null = all of them. */
  readonly maxTokens: number | null;
  readonly seed: number;
}

/** One pass over the rows that training left, for all dictionaries of a set that were trained together. */
export async function analyseStage(workspace: Workspace, located: LocatedModel, model: SubjectModel, set: string, options: AnalyseOptions): Promise<StageResult> {
  const { config, runs, artefacts, progress } = workspace;
  const members = await openSet(workspace, located.name, set);
  const { tokens: tokensRun, trainRows } = oneText(members, set);
  return withTokens(join(config.home, tokensRun), async (tokens) => {
    const wanted = options.maxTokens === null ? Infinity : Math.ceil(options.maxTokens / tokens.cols);
    const rows = { from: trainRows, to: Math.min(tokens.rows, trainRows + wanted) };
    if (rows.to <= rows.from) throw new CallerError('BAD_INPUT', `the token file has ${tokens.rows} rows and training took ${trainRows}: tokenise more text, or train on less`);
    const inputs = Object.fromEntries(members.map(({ name, weights }) => [name, weights.config.weightsHash]));
    const result = await runStage(
      { store: runs, progress },
      { stage: 'analyse', params: { rows, set }, inputs: { ...inputs, model: model.info.weightsHash, tokens: tokens.hash }, seed: options.seed },
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
        dictionaries[name] = { ...before, analyse: analysed, explain: before.analyse === analysed ? before.explain : null };
      }
      return { ...current, dictionaries };
    });
    return result;
  });
}

function oneText(members: readonly SetMember[], set: string): { tokens: string; trainRows: number } {
  const [first, ...others] = members.map(({ current }) => ({ tokens: current.tokens, trainRows: current.trainRows }));
  if (others.some((other) => other.tokens !== first!.tokens || other.trainRows !== first!.trainRows)) {
    throw new CallerError('BAD_INPUT', `the dictionaries of set ${set} were trained on different texts: train them together, or under different --set names`);
  }
  return first!;
}

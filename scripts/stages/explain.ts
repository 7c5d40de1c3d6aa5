import { relative } from 'node:path';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { PATTERN_SETTINGS } from '../../src/interp/pattern/settings.ts';
import { backgroundTokens } from '../../src/pipelines/backgroundTokens.ts';
import { explainDictionary, type ExplainOptions } from '../../src/pipelines/explain.ts';
import { PATTERN_EXPLAINER, openPatternExplainer } from '../../src/pipelines/patternExplainer.ts';
import { patternSimulator } from '../../src/pipelines/patternSimulator.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { simulationScorer } from '../../src/pipelines/simulationScorer.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { featuresPath, openSet } from './dictionarySet.ts';

/** Explains and scores the features of every dictionary of a set, one run per dictionary. */
export async function explainStage(
  workspace: Workspace,
  located: LocatedModel,
  model: SubjectModel,
  tokenizer: Tokenizer,
  set: string,
  options: ExplainOptions & { readonly seed: number },
): Promise<void> {
  const { config, runs, artefacts, progress } = workspace;
  const { seed, chunk, ...params } = options;
  for (const member of await openSet(workspace, located.name, set)) {
    const { name, weights } = member;
    const path = featuresPath(workspace, member);
    const result = await runStage(
      { store: runs, progress },
      {
        stage: 'explain',
        params: { ...params, explainer: PATTERN_EXPLAINER, settings: PATTERN_SETTINGS },
        inputs: { dictionary: weights.config.weightsHash, model: model.info.weightsHash, analyse: member.current.analyse! },
        seed,
      },
      async (run) => {
        const explainer = await openPatternExplainer({ model, tokenizer, dictionary: weights, background: await backgroundTokens(artefacts, path), seed });
        const scorers = [simulationScorer(patternSimulator, seed)];
        const { summary, hash, seconds } = await explainDictionary(
          { artefacts, progress, explainer, scorers },
          { label: name, featuresPath: path, nFeatures: weights.config.nFeatures, dir: run.dir },
          { ...params, chunk },
        );
        return { ...summary, hash, seconds, cost: explainer.cost };
      },
    );
    const explained = relative(config.home, result.dir);
    await updateCurrentRuns(config.home, located.name, located.source, (current) => ({
      ...current,
      dictionaries: { ...current.dictionaries, [name]: { ...current.dictionaries[name]!, explain: explained } },
    }));
  }
}

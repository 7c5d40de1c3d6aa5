import { join } from 'node:path';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { ModelInfo } from '../../src/domain/model.ts';
import type { Run } from '../../src/domain/run.ts';
import { explanationsOf, load } from '../../src/pipelines/load.ts';
import type { ExplanationsInput } from '../../src/pipelines/load.ts';
import type { DictionaryRow, ExplanationSummaryRow } from '../../src/ports/CatalogReader.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { analysedDir, featuresPath, openSet } from './dictionarySet.ts';
import { loadCircuitsOf } from './loadCircuits.ts';
import { loadNearestOf } from './loadNearest.ts';

export interface Loaded {
  readonly loaded: readonly string[];
  readonly reused: readonly string[];
  readonly edges: number;
  /** Effects of features on output tokens. */
  readonly outputs: number;
}

/**
 * Puts a model, a set of dictionaries with what explained them, the circuit edges among them and their nearest features into the catalog; what is there
 * already is left, unless `reload`. Explanations of a dictionary that is there are added without writing it again.
 */
export async function loadStage(workspace: Workspace, located: LocatedModel, info: ModelInfo, tokenizer: Tokenizer, set: string, reload = false): Promise<Loaded> {
  const { config, artefacts, progress } = workspace;
  const members = await openSet(workspace, located.name, set);
  const runOf = async (dir: string): Promise<Run> => (await readManifest(join(config.home, dir))).run;
  const catalog = await openCatalog({ home: config.home, ...(config.databaseUrl === undefined ? {} : { databaseUrl: config.databaseUrl }) });
  try {
    for (const name of catalog.migrated) progress.say(`load: applied migration ${name}`);
    await catalog.writer.loadModel({ ...info, source: located.source }, Array.from({ length: info.vocabSize }, (_, id) => (id < tokenizer.size ? tokenizer.token(id) : '')));
    const present = new Map((await catalog.reader.dictionaries({ model: info.name })).map((row) => [row.name, row]));
    const ids = [...present.values()].map(({ id }) => id);
    const found = await catalog.reader.explanationSummaries(ids);
    const summaries = new Map(ids.map((id, i) => [id, found[i]!]));
    const loaded: string[] = [];
    const reused: string[] = [];
    for (const member of members) {
      const { name, current, weights } = member;
      analysedDir(config.home, name, current);
      const runs = { train: await runOf(current.train), analyse: await runOf(current.analyse!) };
      const explanations: ExplanationsInput[] = [];
      for (const [explainer, dir] of Object.entries(current.explain)) explanations.push({ explainer, path: join(config.home, dir, 'explanations.ndjson'), run: ofThisFormat(name, await runOf(dir)) });
      const row = present.get(name);
      if (!reload && row !== undefined && isLoaded(row, weights.config.weightsHash, runs)) {
        const missing = explanations.filter((one) => !isExplained(summaries.get(row.id) ?? [], one));
        const target = { model: info.name, dictionary: name, weightsHash: row.weightsHash };
        for (const one of missing) {
          const counts = await catalog.writer.loadExplanations(target, explanationsOf(artefacts, one));
          progress.say(`load: ${info.name}/${name}: ${counts.explanations} explanations by ${one.explainer}, ${counts.skipped} features skipped`);
        }
        (missing.length > 0 ? loaded : reused).push(name);
        continue;
      }
      const tokensAnalysed = runs.analyse.metrics['tokens'] as number;
      const counts = await load(artefacts, catalog.writer, {
        dictionaryDir: join(config.home, current.weights),
        location: current.weights,
        featuresPath: featuresPath(workspace, member),
        explanations,
        tokensAnalysed,
        runs,
      });
      progress.say(`load: ${info.name}/${name}: ${counts.features} features, ${counts.exemplars} exemplars, ${counts.explanations} explanations`);
      loaded.push(name);
    }
    if (reused.length > 0) progress.say(`load: reused ${reused.map((name) => `${info.name}/${name}`).join(', ')}`);
    const now = await catalog.reader.dictionaries({ model: info.name });
    const hashes = new Map(now.map(({ name, weightsHash }) => [name, weightsHash]));
    const circuits = await loadCircuitsOf(workspace, catalog.writer, info.name, set, hashes);
    await loadNearestOf(workspace, catalog.writer, info.name, hashes);
    return { loaded, reused, edges: circuits.edges, outputs: circuits.outputs };
  } finally {
    await catalog.close();
  }
}

/** Explanations of format 1 did not say who judged, nor on which text. */
function ofThisFormat(dictionary: string, run: Run): Run {
  if (typeof run.params['explainer'] === 'object') return run;
  throw new CallerError('STALE_OUTPUT', `the explanations of ${dictionary} were made by an earlier version of this program: run the explain stage again, then load`);
}

function isLoaded(row: DictionaryRow, weightsHash: string, runs: { train: Run; analyse: Run }): boolean {
  return row.weightsHash === weightsHash && row.trainRun === runs.train.key && row.analyseRun === runs.analyse.key;
}

function isExplained(summaries: readonly ExplanationSummaryRow[], { explainer, run }: ExplanationsInput): boolean {
  return summaries.some((summary) => summary.explainer === explainer && summary.run === run.key);
}

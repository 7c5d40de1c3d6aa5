import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { readCurrentRuns, updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { openNearestRows } from '../../src/adapters/ort/nearestRows.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { Run } from '../../src/domain/run.ts';
import { couplesOf, layerWritten, nearest, type NearestPair, type NearestSource } from '../../src/pipelines/nearest.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';

export interface NearestOptions {
  /** Sets whose dictionaries are compared, within a set and between them. */
  readonly sets: readonly string[];
  /** Neighbours of a feature in each other dictionary. */
  readonly k: number;
  /** Only dictionaries that write at these layers. */
  readonly layers: 'all' | readonly number[];
  /** Only dictionaries at most so many layers apart; null = all. */
  readonly within: number | null;
}

export const NEAREST_DEFAULTS: Omit<NearestOptions, 'sets'> = { k: 10, layers: 'all', within: null };

/** Nearest features across the dictionaries of some sets; each dictionary's weights are an input of the run. */
export async function nearestStage(workspace: Workspace, located: LocatedModel, options: NearestOptions, threads?: number): Promise<StageResult> {
  const { config, runs, artefacts, progress } = workspace;
  const { k, within, layers } = options;
  const sets = [...new Set(options.sets)];
  const dictionaries = (await sourcesOf(workspace, located.name, sets)).filter(({ config: each }) => layers === 'all' || layers.includes(layerWritten(each)));
  couplesOf(dictionaries.map(({ config: each }) => each), options);
  const inputs = Object.fromEntries(dictionaries.map(({ config: each }) => [each.name, each.weightsHash]));
  const result = await runStage({ store: runs, progress }, { stage: 'nearest', params: { model: located.name, sets: sets.join('+'), k, within, layers }, inputs, seed: 0 }, async (run) => {
    const rows = openNearestRows(threads ?? config.workers ?? availableParallelism());
    try {
      const pairs = await nearest({ dictionaries, k, within, rows, artefacts, progress, dir: run.dir });
      return { pairs, features: dictionaries.reduce((sum, { config: each }) => sum + each.nFeatures, 0) };
    } finally {
      await rows.close();
    }
  });
  await addCurrent(workspace, located, relative(config.home, result.dir), inputs);
  return result;
}

/** What a finished run measured. */
export function pairsOf(run: Run): readonly NearestPair[] {
  return run.metrics['pairs'] as readonly NearestPair[];
}

/** The dictionaries of the sets with their weights still on disk: one at a time is read, for its config. */
async function sourcesOf({ config, artefacts }: Workspace, model: string, sets: readonly string[]): Promise<NearestSource[]> {
  const current = (await readCurrentRuns(config.home, model))?.dictionaries ?? {};
  const setOf = (name: string): string => name.replace(/^\d+-/, '');
  const known = new Set(Object.keys(current).map(setOf));
  const missing = sets.find((set) => !known.has(set));
  if (missing !== undefined) throw new CallerError('NOT_FOUND', `model ${model} has no dictionaries of set ${missing} in ${config.home}; ${known.size === 0 ? 'train some first' : `it has the sets ${[...known].join(', ')}`}`);
  const names = Object.keys(current).filter((name) => sets.includes(setOf(name))).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const sources: NearestSource[] = [];
  for (const name of names) {
    const read = async () => (await artefacts.readDictionary(join(config.home, current[name].weights))).weights;
    sources.push({ config: (await read()).config, read });
  }
  return sources;
}

/** Runs add up, oldest first; one is dropped when all it says is of weights that are gone, or said again by a later one. */
async function addCurrent({ config }: Workspace, located: LocatedModel, folder: string, inputs: Readonly<Record<string, string>>): Promise<void> {
  const before = (await readCurrentRuns(config.home, located.name))?.nearest ?? [];
  const said = new Set<string>();
  const kept: string[] = [];
  for (const one of [...before.filter((earlier) => earlier !== folder), folder].reverse()) {
    const { run } = await readManifest(join(config.home, one));
    const fresh = pairsOf(run).filter(({ from, to }) => [from, to].every((name) => (inputs[name] ?? run.inputs[name]) === run.inputs[name]) && !said.has(`${from} ${to}`));
    if (fresh.length === 0) continue;
    for (const { from, to } of fresh) said.add(`${from} ${to}`);
    kept.unshift(one);
  }
  await updateCurrentRuns(config.home, located.name, located.source, (current) => ({ ...current, nearest: kept }));
}

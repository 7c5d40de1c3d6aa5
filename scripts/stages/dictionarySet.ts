import { join } from 'node:path';
import { readCurrentRuns, type CurrentDictionary } from '../../src/adapters/files/currentRuns.ts';
import type { DictionaryQuality, DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { featuresFile } from '../../src/pipelines/analyse.ts';
import type { Workspace } from '../workspace.ts';

/** One dictionary of a set, with its runs. */
export interface SetMember {
  readonly name: string;
  readonly current: CurrentDictionary;
  readonly weights: DictionaryWeights;
  readonly quality: DictionaryQuality | null;
}

/** The current dictionaries `{layer}-{set}` of a model by layer; throws NOT_FOUND saying which sets there are. */
export async function openSet({ config, artefacts }: Workspace, model: string, set: string): Promise<SetMember[]> {
  const current = (await readCurrentRuns(config.home, model))?.dictionaries ?? {};
  const layerOf = (name: string): number => Number(/^(\d+)-/.exec(name)?.[1]);
  const setOf = (name: string): string => name.replace(/^\d+-/, '');
  const names = Object.keys(current).filter((name) => setOf(name) === set).sort((a, b) => layerOf(a) - layerOf(b));
  if (names.length === 0) {
    const sets = [...new Set(Object.keys(current).map(setOf))];
    throw new CallerError('NOT_FOUND', `model ${model} has no dictionaries of set ${set} in ${config.home}; ${sets.length === 0 ? 'train some first' : `it has the sets ${sets.join(', ')}`}`);
  }
  return Promise.all(names.map(async (name) => ({ name, current: current[name]!, ...(await artefacts.readDictionary(join(config.home, current[name]!.weights))) })));
}

/** The dictionaries named, in that order; without names, those of the set. Throws NOT_FOUND for a name the model does not have. */
export async function openDictionaries(workspace: Workspace, model: string, set: string, names?: readonly string[]): Promise<SetMember[]> {
  if (names === undefined || names.length === 0) return openSet(workspace, model, set);
  const { config, artefacts } = workspace;
  const current = (await readCurrentRuns(config.home, model))?.dictionaries ?? {};
  return Promise.all(
    names.map(async (name) => {
      const found = current[name];
      if (found === undefined) throw new CallerError('NOT_FOUND', `model ${model} has no dictionary ${name} in ${config.home}; it has ${Object.keys(current).join(', ') || 'none: train some first'}`);
      return { name, current: found, ...(await artefacts.readDictionary(join(config.home, found.weights))) };
    }),
  );
}

/** Path of a member's feature records; throws when it was not analysed since it was trained. */
export function featuresPath({ config }: Workspace, { name, current }: SetMember): string {
  return join(analysedDir(config.home, name, current), featuresFile(name));
}

export function analysedDir(home: string, name: string, current: CurrentDictionary): string {
  if (current.analyse === null) throw new CallerError('STALE_OUTPUT', `dictionary ${name} was not analysed since it was trained: run the analyse stage first`);
  return join(home, current.analyse);
}

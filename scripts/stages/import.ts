import { join, relative } from 'node:path';
import { readCurrentRuns, updateCurrentRuns, type CurrentDictionary } from '../../src/adapters/files/currentRuns.ts';
import type { ForeignReadOptions } from '../../src/adapters/formats/foreign.ts';
import { recogniseForeign } from '../../src/adapters/formats/openForeign.ts';
import { placeForeign, type Placement } from '../../src/adapters/formats/placeForeign.ts';
import { fetchDictionary, parseHubDictionary } from '../../src/adapters/hub/fetchDictionary.ts';
import { isFolder } from '../../src/adapters/hub/sourceFolder.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';

export interface ImportOptions extends Pick<Placement, 'hook' | 'output' | 'centred' | 'force'> {
  /** Last part of the names, {layer}-{set}; null = the format's name. */
  readonly set: string | null;
  /** Name of a format; null = by the files. */
  readonly format: string | null;
  readonly normFactor: number | null;
}

/** Text that later stages read with the imported dictionaries. */
export type ImportText = Pick<CurrentDictionary, 'tokens' | 'trainRows'>;

export interface Imported {
  readonly result: StageResult;
  readonly names: readonly string[];
}

/** A folder, or a hub id OWNER/NAME[:FOLDER][@REVISION], fetched and kept. `description` goes into the manifest. */
export async function locateDictionary({ config }: Workspace, source: string): Promise<{ folder: string; description: string }> {
  if (await isFolder(source)) return { folder: source, description: source.replace(/[/\\]+$/, '').split(/[/\\]/).at(-1)! };
  const hub = parseHubDictionary(source);
  if (hub === null) throw new CallerError('NOT_FOUND', `${source}: expected a folder with a dictionary, or a hub id such as google/gemma-scope-2b-pt-res:layer_20/width_16k/average_l0_71; found neither`);
  const folder = await fetchDictionary(hub, join(config.home, 'hub', 'dictionaries'), config.hubToken === undefined ? {} : { accessToken: config.hubToken });
  return { folder, description: source };
}

/** The text a model's dictionaries are read on so far; throws when there is none or several, which only the user can decide. */
export async function textSoFar({ config }: Workspace, model: string): Promise<ImportText> {
  const dictionaries = Object.values((await readCurrentRuns(config.home, model))?.dictionaries ?? {});
  const texts = new Map(dictionaries.map(({ tokens, trainRows }) => [`${tokens} ${trainRows}`, { tokens, trainRows }]));
  if (texts.size === 1) return [...texts.values()][0]!;
  throw new CallerError('BAD_INPUT', `${texts.size === 0 ? `no text of ${model} was read yet` : `the dictionaries of ${model} were trained on ${texts.size} different texts`}: give the text to read the imported features on with --text`);
}

/**
 * Reads somebody's dictionaries, places them in the model, and makes them the current ones of their names, as training does: the
 * manifest holds the hash of every file they were read from, and what was folded or inferred.
 */
export async function importStage(workspace: Workspace, located: LocatedModel, model: SubjectModel, source: { folder: string; description: string }, text: ImportText, options: ImportOptions): Promise<Imported> {
  const { config, runs, artefacts, progress } = workspace;
  const { normFactor, format, ...rest } = options;
  const foreign = await recogniseForeign(source.folder, format);
  const files = await foreign.hashes();
  const set = options.set ?? foreign.format.replaceAll('_', '-');
  const result = await runStage(
    { store: runs, progress },
    { stage: 'import', params: { ...rest, set, normFactor, format: foreign.format, source: source.description, model: model.info.name }, inputs: { model: model.info.weightsHash, ...files }, seed: 0 },
    async (run) => {
      const readOptions: ForeignReadOptions = normFactor === null ? {} : { normFactor };
      const found = await foreign.read(readOptions);
      const { centres } = await model.finalNorm();
      const { force, hook, output, centred } = options;
      const placed = found.map((one) => ({ label: one.label, ...placeForeign(one, { model: model.info, centres, set, hook, output, centred, force, run: run.key }) }));
      const dictionaries = [];
      for (const { weights, notes } of told(placed)) {
        const { name } = weights.config;
        const { config: written } = await artefacts.writeDictionary(join(run.dir, name), weights, null);
        const { architecture, hookPoint, outputHookPoint, nFeatures, k } = written;
        dictionaries.push({ name, folder: name, architecture, hookPoint, outputHookPoint, nFeatures, k, weightsHash: written.weightsHash, notes });
      }
      return { dictionaries };
    },
  );
  const imported = result.run.metrics['dictionaries'] as readonly { name: string; folder: string; architecture: string; hookPoint: string; nFeatures: number; notes: readonly string[] }[];
  for (const { name, architecture, hookPoint, nFeatures, notes } of imported) progress.say([`import: ${located.name}/${name}: ${architecture}, ${nFeatures} features at ${hookPoint}`, ...notes].join('\n  '));
  const train = relative(config.home, result.dir);
  await updateCurrentRuns(config.home, located.name, located.source, (current) => {
    const dictionaries = { ...current.dictionaries };
    for (const { name, folder } of imported) {
      const before = dictionaries[name];
      const same = before !== undefined && before.train === train && before.tokens === text.tokens && before.trainRows === text.trainRows;
      dictionaries[name] = { train, weights: join(train, folder), ...text, analyse: same ? before.analyse : null, explain: same ? before.explain : {} };
    }
    return { ...current, dictionaries };
  });
  return { result, names: imported.map(({ name }) => name) };
}

/** Dictionaries of one hook point told apart by their labels: the sets of {layer}-{set}-{label} differ. */
function told(placed: readonly { label: string; weights: DictionaryWeights; notes: readonly string[] }[]): { weights: DictionaryWeights; notes: readonly string[] }[] {
  const nameOf = ({ weights }: { weights: DictionaryWeights }): string => weights.config.name;
  const names = placed.map(nameOf);
  const renamed = placed.map(({ label, weights, notes }) => {
    const { name } = weights.config;
    if (names.filter((other) => other === name).length === 1) return { weights, notes };
    const suffix = label.toLowerCase().replace(/[^a-z0-9._-]+/g, '-');
    return { weights: { ...weights, config: { ...weights.config, name: `${name}-${suffix}` } }, notes };
  });
  const twice = renamed.map(nameOf).find((name, at, all) => all.indexOf(name) !== at);
  if (twice !== undefined) throw new CallerError('BAD_INPUT', `several dictionaries would be named ${twice}: import their folders one by one with different --set`);
  return renamed;
}

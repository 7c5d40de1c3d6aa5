import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { writeDictionaryLearning } from '../../src/adapters/formats/dictionaryLearningWrite.ts';
import { writeSaelens, type ExportedModel } from '../../src/adapters/formats/saelensExport.ts';
import { writeSparsify } from '../../src/adapters/formats/sparsifyExport.ts';
import { isHubId } from '../../src/adapters/hub/sourceFolder.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { readLanguageModel } from '../../src/lm/registry.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';

type Exporter = (folder: string, weights: DictionaryWeights, model: ExportedModel) => Promise<unknown>;

/** Formats that can be written. */
export const EXPORTERS: Readonly<Record<string, Exporter>> = {
  saelens: writeSaelens,
  sparsify: writeSparsify,
  dictionary_learning: async (folder, weights) => writeDictionaryLearning(folder, weights),
};

/** Writes a current dictionary of a model, by name, into an empty folder in another library's format. */
export async function exportStage({ config, artefacts, progress }: Workspace, located: LocatedModel, name: string, format: string, out: string): Promise<void> {
  const current = (await readCurrentRuns(config.home, located.name))?.dictionaries ?? {};
  const found = current[name];
  if (found === undefined) {
    const names = Object.keys(current);
    throw new CallerError('NOT_FOUND', `model ${located.name} has no dictionary ${name} in ${config.home}; it has ${names.length === 0 ? 'none' : names.join(', ')}`);
  }
  const there = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new CallerError('BAD_INPUT', `${out} cannot be written to: ${error.message}`, { cause: error });
  });
  if (there.length > 0) throw new CallerError('BAD_INPUT', `${out} is not empty: give an empty or new folder with --out`);
  const { weights } = await artefacts.readDictionary(join(config.home, found.weights));
  const { architecture } = readLanguageModel(JSON.parse(await readFile(join(located.folder, 'config.json'), 'utf8')));
  const exporter = EXPORTERS[format];
  if (exporter === undefined) throw new CallerError('UNSUPPORTED', `format ${format}: expected one of ${Object.keys(EXPORTERS).join(', ')}`);
  await exporter(out, weights, { architecture, name: isHubId(located.source) ? located.source : located.name });
  progress.say(`export: ${located.name}/${name} as ${format} in ${out}`);
}

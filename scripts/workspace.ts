import { basename, resolve } from 'node:path';
import { terminalProgress } from '../src/adapters/terminal/progress.ts';
import { fileArtefacts } from '../src/adapters/files/artefacts.ts';
import { readCurrentRuns, type CurrentRuns } from '../src/adapters/files/currentRuns.ts';
import { openRunStore } from '../src/adapters/files/runStore.ts';
import { isFolder, isHubId, sourceFolder } from '../src/adapters/hub/sourceFolder.ts';
import { openSubjectModel } from '../src/adapters/ort/openSubjectModel.ts';
import { checkTokenizer } from '../src/adapters/tokenizers/checkTokenizer.ts';
import { openTokenizer } from '../src/adapters/tokenizers/openTokenizer.ts';
import { readConfig, type Config, type Device } from '../src/config.ts';
import { checkName } from '../src/domain/address.ts';
import { CallerError } from '../src/domain/errors.ts';
import { CODE_VERSION } from '../src/version.ts';
import type { Artefacts } from '../src/ports/Artefacts.ts';
import type { GradientModel } from '../src/ports/GradientModel.ts';
import type { Progress } from '../src/ports/Progress.ts';
import type { RunStore } from '../src/ports/RunStore.ts';
import type { Tokenizer } from '../src/ports/Tokenizer.ts';

/** What every stage needs: where things lie, and how to say how far it is. */
export interface Workspace {
  readonly config: Config;
  readonly runs: RunStore;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
}

/** Version 2 of explanations: scores name their judge, prompt and fragments. */
const FORMAT_VERSIONS = { explain: 2 };

export function openWorkspace(config: Config = readConfig()): Workspace {
  return { config, runs: openRunStore(config.home, { codeVersion: CODE_VERSION, formatVersions: FORMAT_VERSIONS }), artefacts: fileArtefacts(), progress: terminalProgress() };
}

export interface ModelChoice {
  /** Folder, hub id, or the catalog name of a model that an earlier stage used. */
  readonly model: string;
  readonly name?: string | undefined;
  readonly device?: Device | undefined;
  readonly workers?: number | undefined;
}

/** Where a model's files are and what the catalog calls it. */
export interface LocatedModel {
  readonly name: string;
  /** As the catalog stores it: absolute folder or hub id. */
  readonly source: string;
  readonly folder: string;
}

/** Finds the folder of a model, fetching it from the hub when it is a hub id; throws NOT_FOUND saying what was tried. */
export async function locateModel({ config }: Workspace, choice: ModelChoice): Promise<LocatedModel> {
  const folder = resolve(choice.model);
  if (await isFolder(folder)) return { name: nameOf(choice.name ?? basename(folder)), source: folder, folder };
  const known: CurrentRuns | null = /^[a-z0-9._-]+$/.test(choice.model) ? await readCurrentRuns(config.home, choice.model) : null;
  if (known !== null) return { name: known.model, source: known.source, folder: await folderOf(config, known.source) };
  if (isHubId(choice.model)) {
    return { name: nameOf(choice.name ?? basename(choice.model)), source: choice.model, folder: await folderOf(config, choice.model) };
  }
  throw new CallerError('NOT_FOUND', `model ${choice.model}: expected a folder, a hub id (organisation/name), or a model that an earlier stage in ${config.home} used; found none of these`);
}

async function folderOf({ home, hubToken }: Config, source: string): Promise<string> {
  const folder = await sourceFolder(source, home, hubToken);
  if (folder === null) throw new CallerError('NOT_FOUND', `the model's folder ${source} is gone: give its new place with --model`);
  return folder;
}

/** Opens model and tokenizer, checks that they belong together, and closes the model whatever happens. */
export async function withModel<T>(workspace: Workspace, located: LocatedModel, choice: ModelChoice, use: (model: GradientModel, tokenizer: Tokenizer) => Promise<T>): Promise<T> {
  const { config } = workspace;
  const tokenizer = await openTokenizer(located.folder);
  const workers = choice.workers ?? config.workers;
  const model = await openSubjectModel(located.folder, { name: located.name, device: choice.device ?? config.device, ...(workers === undefined ? {} : { workers }) });
  try {
    checkTokenizer(tokenizer, model.info);
    return await use(model, tokenizer);
  } finally {
    await model.close();
  }
}

function nameOf(text: string): string {
  return checkName('model', text.toLowerCase());
}

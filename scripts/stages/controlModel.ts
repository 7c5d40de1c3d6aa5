import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkName } from '../../src/domain/address.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { randomise, type RandomiseOptions } from './randomise.ts';

/**
 * A copy of a model with random weights, as a run of its own, so that it is written once. Its catalog name is the model's with `-random`
 * (`-random-embedded` where the embeddings are the trained ones), and the seed where that is not 0.
 */
export async function controlModel({ runs, progress }: Workspace, located: LocatedModel, modelHash: string, options: RandomiseOptions): Promise<LocatedModel> {
  const { seed, keepEmbeddings } = options;
  const { dir } = await runStage({ store: runs, progress }, { stage: 'randomise', params: { keepEmbeddings }, inputs: { model: modelHash }, seed }, async (run) => {
    const folder = join(run.dir, FOLDER);
    await rm(folder, { recursive: true, force: true }); // what a killed run left
    await randomise(located.folder, folder, options);
    return {};
  });
  const folder = join(dir, FOLDER);
  const name = `${located.name}-random${keepEmbeddings ? '-embedded' : ''}${seed === 0 ? '' : `-s${seed}`}`;
  return { name: checkName('model', name), source: folder, folder };
}

const FOLDER = 'model';

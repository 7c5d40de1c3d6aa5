import { join } from 'node:path';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { readNearest } from '../../src/pipelines/nearest.ts';
import type { CatalogWriter, NearestCounts, NearestLoad } from '../../src/ports/CatalogWriter.ts';
import type { Workspace } from '../workspace.ts';
import { pairsOf } from './nearest.ts';

/**
 * Puts the nearest features among all loaded dictionaries of a model into the catalog, of each pair those of the last run. Pairs that
 * were compared with other weights than the catalog has are left out, and said. `hashes`: of the dictionaries in the catalog, by name.
 */
export async function loadNearestOf({ config, artefacts, progress }: Workspace, writer: CatalogWriter, model: string, hashes: ReadonlyMap<string, string>): Promise<NearestCounts> {
  const pairs = new Map<string, NearestLoad>();
  const stale = new Set<string>();
  for (const folder of [...((await readCurrentRuns(config.home, model))?.nearest ?? [])].reverse()) {
    const { run, dir } = await readManifest(join(config.home, folder));
    for (const pair of pairsOf(run)) {
      const { from, to } = pair;
      if (pairs.has(`${from} ${to}`) || !hashes.has(from) || !hashes.has(to)) continue;
      const changed = [from, to].filter((name) => hashes.get(name) !== run.inputs[name]);
      for (const name of changed) stale.add(name);
      if (changed.length > 0) continue;
      const end = (dictionary: string) => ({ dictionary, weightsHash: run.inputs[dictionary] });
      pairs.set(`${from} ${to}`, { run, from: end(from), to: end(to), read: () => readNearest(artefacts, dir, pair) });
    }
  }
  if (stale.size > 0) progress.say(`load: left out nearest features of an earlier ${[...stale].sort().map((name) => `${model}/${name}`).join(', ')}; run the nearest stage again`);
  if (pairs.size === 0) return { pairs: 0, kept: 0 };
  const counts = await writer.loadNearest(model, [...pairs.values()]);
  progress.say(`load: nearest features of ${counts.pairs} pairs of dictionaries${counts.kept === 0 ? '' : `, ${counts.kept} were there`}`);
  return counts;
}

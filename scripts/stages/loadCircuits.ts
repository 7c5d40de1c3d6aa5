import { join } from 'node:path';
import { readCurrentRuns, type CurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { CircuitEdge, OutputEdge } from '../../src/domain/feature.ts';
import type { CircuitCounts, CircuitsLoad, CatalogWriter } from '../../src/ports/CatalogWriter.ts';
import type { Workspace } from '../workspace.ts';

export const EDGES_FILE = 'edges.ndjson';
/** Runs made before effects on tokens were measured have none. */
export const OUTPUT_EDGES_FILE = 'output-edges.ndjson';

const setOf = (dictionary: string): string => dictionary.replace(/^\d+-/, '');

/**
 * Keys of current.circuits that say something of dictionaries of `set`, directly or by way of a key that holds several sets
 * (`a+b`), as far as all their sets are loaded; and all sets these keys hold.
 */
export function circuitKeys(keys: readonly string[], set: string, loaded: ReadonlySet<string>): { keys: string[]; sets: string[] } {
  const possible = keys.filter((key) => key.split('+').every((part) => loaded.has(part)));
  const sets = new Set([set]);
  for (let before = 0; sets.size > before; ) {
    before = sets.size;
    for (const key of possible) if (key.split('+').some((part) => sets.has(part))) for (const part of key.split('+')) sets.add(part);
  }
  return { keys: possible.filter((key) => key.split('+').some((part) => sets.has(part))), sets: [...sets] };
}

/**
 * Replaces the edges of a set, and of the sets it was measured together with, by those of all circuits runs on the dictionaries
 * loaded; where two give edges from a dictionary into the same target, the later one counts. `hashes`: of the dictionaries in the catalog, by name.
 */
export async function loadCircuitsOf({ config, artefacts, progress }: Workspace, writer: CatalogWriter, model: string, set: string, hashes: ReadonlyMap<string, string>): Promise<CircuitCounts> {
  const current: CurrentRuns | null = await readCurrentRuns(config.home, model);
  if (current === null) throw new CallerError('NOT_FOUND', `no runs of model ${model} in ${config.home}`);
  const { keys, sets } = circuitKeys(Object.keys(current.circuits), set, new Set([...hashes.keys()].map(setOf)));
  const found: (CircuitsLoad & { readonly finished: string })[] = [];
  for (const [key, folder] of keys.flatMap((key) => current.circuits[key]!.map((folder) => [key, folder] as const))) {
    const { run, dir } = await readManifest(join(config.home, folder));
    const stale = Object.entries(run.inputs).find(([name, hash]) => hashes.has(name) && hashes.get(name) !== hash);
    if (stale !== undefined) {
      progress.say(`load: left out the circuit edges of ${key}, which were measured on an earlier ${model}/${stale[0]}; run the circuits stage again`);
      continue;
    }
    const outputs = artefacts.readRecords<OutputEdge>(join(dir, OUTPUT_EDGES_FILE), { optional: true });
    found.push({ run, edges: artefacts.readRecords<CircuitEdge>(join(dir, EDGES_FILE)), outputs, finished: run.finishedAt ?? '' });
  }
  if (found.length === 0) return { edges: 0, outputs: 0 };
  found.sort((a, b) => (a.finished < b.finished ? 1 : -1));
  const counts = await writer.loadCircuits(model, found, [...hashes.keys()].filter((name) => sets.includes(setOf(name))));
  progress.say(`load: ${counts.edges} circuit edges, ${counts.outputs} effects on output tokens`);
  return counts;
}

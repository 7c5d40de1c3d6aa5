import type { BatchContent, BatchFiles } from '../ports/BatchFiles.ts';
import type { BulkFilter, BulkView, CatalogBulk } from '../ports/CatalogBulk.ts';
import type { Progress } from '../ports/Progress.ts';
import { batchLines, patchBatches, rowPlace, runLines } from './catalogBatches.ts';
import { BATCH_FEATURES, BATCH_KINDS, MANIFEST_FORMAT, batchPath, dictionaryFolder, setName, type BulkManifest } from './catalogLayout.ts';
import { readManifest } from './catalogManifest.ts';
import { sourceLines } from './catalogSource.ts';

export interface ExportedDictionary {
  readonly features: number;
  /** Files written, those that were there already with the same content, and those no longer part of it. */
  readonly written: number;
  readonly unchanged: number;
  readonly removed: number;
}

/**
 * Writes one dictionary's catalog, as it is at one moment, into its folder of `files`. A file whose content is the same as the folder's
 * manifest says is left alone; one that is the same in `since` (another export's manifest) is not written at all.
 */
export async function exportDictionary(bulk: CatalogBulk, files: BatchFiles, model: string, dictionary: string, filter: BulkFilter, since: BulkManifest | null, progress: Progress): Promise<ExportedDictionary> {
  const folder = dictionaryFolder(model, dictionary);
  const before = await readManifest(files, folder);
  return bulk.view(model, dictionary, async (view) => {
    const entries: Record<string, BatchContent & { elsewhere?: true }> = {};
    let written = 0;
    let unchanged = 0;
    const put = async (path: string, lines: AsyncIterable<string> | Iterable<string>): Promise<number> => {
      const continued = since !== null && !alwaysWritten(path);
      const there = continued ? since.files[path]?.sha256 : (await files.has(`${folder}/${path}`)) ? before?.files[path]?.sha256 : undefined;
      const content = await files.write(`${folder}/${path}`, lines, there);
      const same = content.sha256 === there;
      if (content.lines > 0) {
        entries[path] = { ...content, ...(continued && same ? { elsewhere: true } : {}) };
        if (same) unchanged++;
        else written++;
      }
      return content.lines;
    };
    // What an export that is broken off leaves behind must not pass for what the old manifest says.
    await files.remove(`${folder}/manifest.json`);
    const place = await rowPlace(view, setName(dictionary));
    for (const [path, lines] of Object.entries(await sourceLines(view))) await put(path, lines);
    const explainers = new Map<string, string>();
    const total = view.dictionary.nFeatures;
    const task = progress.start(`export ${model}/${dictionary}`, total, 'feature');
    let features = 0;
    const from = filter.from ?? 0;
    const to = Math.min(filter.to ?? total, total);
    for (let n = Math.floor(from / BATCH_FEATURES); n * BATCH_FEATURES < to; n++) {
      const indices = await view.indices(Math.max(from, n * BATCH_FEATURES), Math.min(to, (n + 1) * BATCH_FEATURES), filter);
      const runs = new Set<string>();
      for (const kind of BATCH_KINDS) {
        const count = await put(batchPath(kind, n), kind === 'runs' ? runLines(view, runs) : batchLines(kind, view, place, indices, runs));
        if (kind === 'features') features += count;
      }
      await noteExplainers(view, indices, explainers);
      task.update(Math.min(to, (n + 1) * BATCH_FEATURES));
    }
    let n = 0;
    for await (const lines of patchBatches(view)) await put(batchPath('patches', n++), lines);
    const manifest: BulkManifest = {
      format: MANIFEST_FORMAT, model, dictionary, weightsHash: view.dictionary.weightsHash, filter, features,
      explainers: [...explainers].map(([explainer, run]) => ({ explainer, run })).sort((a, b) => (a.explainer < b.explainer ? -1 : 1)), files: entries,
    }; // prettier-ignore
    let removed = 0;
    for (const path of Object.keys(before?.files ?? {})) {
      if (path in entries || !(await files.has(`${folder}/${path}`))) continue;
      await files.remove(`${folder}/${path}`);
      removed++;
    }
    await files.write(`${folder}/manifest.json`, [JSON.stringify(manifest)]);
    task.finish();
    return { features, written, unchanged, removed };
  });
}

/** Small, and needed to make sense of the rest; words of people change in either catalog. */
function alwaysWritten(path: string): boolean {
  return path.startsWith('runs/') || path.startsWith('people/') || (!path.includes('/') && path !== 'token.jsonl.gz');
}

/** The run of an explainer: that of its summary, otherwise of the first explanation or skip there is. */
async function noteExplainers(view: BulkView, indices: readonly number[], explainers: Map<string, string>): Promise<void> {
  if (explainers.size === 0) for (const { explainer, run } of await view.summaries()) explainers.set(explainer, run);
  for (let at = 0; at < indices.length; at += 256) {
    for (const { explainer, run } of await view.explainers(indices.slice(at, at + 256))) if (!explainers.has(explainer)) explainers.set(explainer, run);
  }
}

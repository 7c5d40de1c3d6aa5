import { CallerError } from '../domain/errors.ts';
import type { BatchFiles } from '../ports/BatchFiles.ts';
import { MANIFEST_FORMAT, type BulkManifest } from './catalogLayout.ts';

/** The manifest of a dictionary's folder; null where there is none: nothing was exported there, or by another program. */
export async function readManifest(files: BatchFiles, folder: string): Promise<BulkManifest | null> {
  for await (const { place, text } of files.read(`${folder}/manifest.json`)) {
    let parsed: Partial<BulkManifest> | null;
    try {
      parsed = JSON.parse(text) as Partial<BulkManifest> | null;
    } catch (cause) {
      throw new CallerError('BAD_INPUT', `${place}: expected one JSON object: export again into an empty folder`, { cause });
    }
    if (parsed?.format !== MANIFEST_FORMAT || typeof parsed.files !== 'object' || !Array.isArray(parsed.explainers)) {
      throw new CallerError('BAD_INPUT', `${place}: expected a manifest of format "${MANIFEST_FORMAT}", found ${JSON.stringify(parsed?.format)}: use the program version that wrote it, or export again`);
    }
    return parsed as BulkManifest;
  }
  return null;
}

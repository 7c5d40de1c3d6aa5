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
    if (parsed?.format !== MANIFEST_FORMAT || !isObject(parsed.files) || !isObject(parsed.filter) || !Array.isArray(parsed.explainers) || typeof parsed.weightsHash !== 'string') {
      throw new CallerError('BAD_INPUT', `${place}: expected a manifest of format "${MANIFEST_FORMAT}", found ${JSON.stringify(parsed?.format)}: use the program version that wrote it, or export again`);
    }
    if (folder !== `v1/${parsed.model}/${parsed.dictionary}`) {
      throw new CallerError('BAD_INPUT', `${place}: expected the manifest of ${folder}, found that of v1/${parsed.model}/${parsed.dictionary}: folders of an export keep their names`);
    }
    return parsed as BulkManifest;
  }
  return null;
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

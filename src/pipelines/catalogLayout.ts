import { checkName } from '../domain/address.ts';
import type { BatchContent } from '../ports/BatchFiles.ts';
import type { BulkFilter } from '../ports/CatalogBulk.ts';

/** Features a batch: batch n holds indices from 1024·n to below 1024·(n + 1). */
export const BATCH_FEATURES = 1024;
/** Of a dictionary that is imported: what files claim is not believed beyond this. */
export const MOST_FEATURES = 2 ** 25;
/** Rows a file of patches. */
export const BATCH_PATCHES = 1024;

/** One folder each; the first three are the field's. */
export const BATCH_KINDS = ['features', 'activations', 'explanations', 'scores', 'skips', 'edges', 'output_edges', 'nearest', 'people', 'runs'] as const;
export type BatchKind = (typeof BATCH_KINDS)[number];

/** Explainers that are people: their words lie in files of their own, which go with every export, a later one too. */
export const PERSON = 'person/';

/** Of this version's layout. */
export const MANIFEST_FORMAT = 'feature-catalog/1';

/** What was exported of a dictionary, and what each file holds: the file `manifest.json` of its folder. */
export interface BulkManifest {
  readonly format: typeof MANIFEST_FORMAT;
  readonly model: string;
  readonly dictionary: string;
  readonly weightsHash: string;
  readonly filter: BulkFilter;
  readonly features: number;
  /** Of the explanations, with the run most of each are of. */
  readonly explainers: readonly { readonly explainer: string; readonly run: string }[];
  /** By path in the folder; `elsewhere`: the export that this one continues has it. */
  readonly files: Readonly<Record<string, BatchContent & { readonly elsewhere?: true }>>;
}

/** Folder of a dictionary, as in the field's bucket. */
export function dictionaryFolder(model: string, dictionary: string): string {
  return `v1/${checkName('model', model)}/${checkName('dictionary', dictionary)}`;
}

export function batchPath(kind: BatchKind | 'patches', n: number): string {
  return `${kind}/batch-${n}.jsonl.gz`;
}

/** `tied-r4` of `2-tied-r4`; a name of another form is its own set. */
export function setName(dictionary: string): string {
  return /^\d+-(.+)$/.exec(dictionary)?.[1] ?? dictionary;
}

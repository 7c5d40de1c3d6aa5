import { CallerError } from '../../domain/errors.ts';

export interface HubFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** sha-256 of the content, which the hub knows of large files only. */
  readonly sha256: string | undefined;
}

const SMALL = new Set(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.json', 'merges.txt']);
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** The files of a repository that a subject model needs; one whole weights file is preferred to shards. Throws UNSUPPORTED. */
export function chooseFiles(files: readonly HubFile[], id: string): HubFile[] {
  const small = files.filter(({ path }) => SMALL.has(path));
  if (!small.some(({ path }) => path === 'config.json')) {
    throw new CallerError('UNSUPPORTED', `hub model ${id}: expected a config.json, found none`);
  }
  const single = files.filter(({ path }) => path === 'model.safetensors');
  if (single.length > 0) return [...small, ...single];
  const sharded = files.filter(({ path }) => SHARD.test(path) || path === 'model.safetensors.index.json');
  if (sharded.length > 1) return [...small, ...sharded];
  throw new CallerError('UNSUPPORTED', `hub model ${id}: expected model.safetensors or its shards, found none; older formats run code when opened and are not read`);
}

import { CallerError } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { RowGroup } from './rowSampler.ts';

/**
 * A shard is one safetensors file of raw activations: tensor `activations` float32 [rows, positions, D] of one hook point
 * for the rows of one group, positions in text order. Its metadata says what it holds, so a shard can be read alone.
 */
export interface ShardContent {
  readonly hookPoint: HookPoint;
  readonly group: RowGroup;
  readonly skipPositions: number;
  readonly modelHash: string;
  readonly tokensHash: string;
}

export const SHARD_TENSOR = 'activations';

/** Path below the cache folder, e.g. `resid_post.3/block-000012.safetensors`. */
export function shardPath(hookPoint: HookPoint, groupName: string): string {
  return `${hookPoint}/${groupName}.safetensors`;
}

export function shardMetadata({ hookPoint, group, skipPositions, modelHash, tokensHash }: ShardContent): Record<string, string> {
  return {
    shard_version: '1',
    hook_point: hookPoint,
    group: group.name,
    rows: group.rows.join(' '),
    skip_positions: String(skipPositions),
    model_hash: modelHash,
    tokens_hash: tokensHash,
  };
}

/** Throws STALE_OUTPUT unless the file holds exactly what is asked for. */
export function checkShard(path: string, metadata: Readonly<Record<string, string>>, wanted: ShardContent): void {
  const expected = shardMetadata(wanted);
  for (const [key, value] of Object.entries(expected)) {
    if (metadata[key] === value) continue;
    const short = (text: string | undefined): string => (text === undefined ? 'nothing' : text.length > 40 ? `${text.slice(0, 40)}…` : text);
    throw new CallerError('STALE_OUTPUT', `activation shard ${path}: expected ${key} ${short(value)}, found ${short(metadata[key])}; harvest again with the model, text, seed and block size of this training`);
  }
}

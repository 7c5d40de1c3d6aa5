import { layoutRows } from '../activations/rowSampler.ts';
import type { RowGroup, RowLayoutSettings } from '../activations/rowSampler.ts';
import { scatterVectors } from '../activations/scatter.ts';
import { checkShard, SHARD_TENSOR, shardMetadata, shardPath } from '../activations/shard.ts';
import type { ShardContent } from '../activations/shard.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import { boundedParallel } from './boundedParallel.ts';

/** Where training gets activations from: the model, or shards on disk. */
export interface ActivationSource {
  readonly hookPoints: readonly HookPoint[];
  /** D. */
  readonly dIn: number;
  /**
   * Activations of a group's rows at every hook point, [limit, D] each: vector p of the group's row r goes to place
   * `places[r·vectorsPerRow + p]` and is left out when that is not below `limit`. `places` null keeps text order.
   * The buffers belong to the caller; with `into`, room for at least `limit` vectors each, they are its beginnings.
   */
  read(group: RowGroup, places: Uint32Array | null, limit: number, into?: ReadonlyMap<HookPoint, Float32Array>): Promise<ReadonlyMap<HookPoint, Float32Array>>;
}

export interface HarvestInput {
  readonly model: SubjectModel;
  readonly tokens: TokenRows;
  readonly hookPoints: readonly HookPoint[];
  /** First positions of every row left out. */
  readonly skipPositions: number;
  /** Tokens of one forward run; a fixed number, so that results do not depend on the machine. */
  readonly tokensPerForward: number;
}

/** Tokens of one forward run unless told otherwise. */
export const TOKENS_PER_FORWARD = 2048;

/**
 * Activations computed as they are asked for. At most `model.concurrency + 1` forward runs are under way; where their
 * results go does not depend on the order in which they finish. Memory: the buffers handed out and those runs.
 * Throws TOKENIZER_MISMATCH or TEXT_TOO_LONG when text and model do not fit.
 */
export function modelSource({ model, tokens, hookPoints, skipPositions, tokensPerForward }: HarvestInput): ActivationSource {
  const { dModel: D, contextLength, name, tokenizerHash } = model.info;
  const T = tokens.cols;
  if (tokens.tokenizerHash !== tokenizerHash) {
    throw new CallerError('TOKENIZER_MISMATCH', `the token file was made by the tokenizer ${tokens.tokenizerHash}, model ${name} has ${tokenizerHash}; tokenise the text again for this model`);
  }
  if (T > contextLength) throw new CallerError('TEXT_TOO_LONG', `rows of ${T} tokens are longer than the ${contextLength} of model ${name}; tokenise the text again with shorter rows`);
  const rowsPerForward = Math.max(1, Math.floor(tokensPerForward / T));
  const vectorsPerRow = T - skipPositions;

  return {
    hookPoints,
    dIn: D,
    async read(group, places, limit, into) {
      const { rows } = group;
      const where = places ?? Uint32Array.from({ length: rows.length * vectorsPerRow }, (_, i) => i);
      invariant(where.length === rows.length * vectorsPerRow, `a place for each of ${rows.length * vectorsPerRow} vectors`);
      const out = new Map(hookPoints.map((hook) => [hook, room(into, hook, limit * D)]));
      await boundedParallel(Math.ceil(rows.length / rowsPerForward), model.concurrency + 1, async (i) => {
        const first = i * rowsPerForward;
        const some = rows.subarray(first, first + rowsPerForward);
        const ids = await tokens.read(some);
        const batch = { rows: some.length, cols: T, ids, lengths: new Int32Array(some.length).fill(T) };
        const { taps } = await model.forward({ batch, taps: hookPoints, logits: 'none' });
        for (const hook of hookPoints) {
          const tap = taps.get(hook);
          invariant(tap !== undefined && tap.length === some.length * T * D, `the model gives ${hook} as [${some.length}, ${T}, ${D}]`);
          scatterVectors(tap, { rows: some.length, T, D, skip: skipPositions }, out.get(hook)!, where, first * vectorsPerRow, limit);
        }
      });
      return out;
    },
  };
}

export interface CacheInput extends HarvestInput {
  readonly layout: Omit<RowLayoutSettings, 'rows' | 'cols' | 'skipPositions'>;
  /** float16 halves the disk space, and rounds activations to 11 bits. */
  readonly dtype?: 'float32' | 'float16';
  /** Write about so many training vectors; null = all. */
  readonly maxVectors: number | null;
  /** Folder of this run. */
  readonly dir: string;
}

export interface CacheResult {
  readonly vectors: number;
  /** Blocks written by this call; the others were there from an earlier one. */
  readonly writtenNow: number;
  readonly seconds: number;
}

/**
 * Harvests to disk: one shard per hook point and group of rows (src/activations/shard.ts), and `shards.ndjson` listing them
 * in training order. Resumable: a shard appears whole or not at all, and shards that are there are kept.
 */
export async function cacheActivations(ports: { readonly artefacts: Artefacts; readonly progress: Progress }, input: CacheInput): Promise<CacheResult> {
  const { model, tokens, hookPoints, skipPositions, dir } = input;
  const { artefacts, progress } = ports;
  const started = performance.now();
  const layout = layoutRows({ ...input.layout, rows: tokens.rows, cols: tokens.cols, skipPositions });
  const source = modelSource(input);
  const groups: RowGroup[] = [...layout.heldOut];
  let vectors = 0;
  for (const group of layout.blocks) {
    if (input.maxVectors !== null && vectors >= input.maxVectors) break;
    groups.push(group);
    vectors += group.rows.length * layout.vectorsPerRow;
  }
  const total = groups.reduce((sum, group) => sum + group.rows.length * layout.vectorsPerRow, 0);
  const task = progress.start(`harvest ${hookPoints.length} hook points`, total, 'tokens');
  const records: Record<string, unknown>[] = [];
  let done = 0;
  let writtenNow = 0;
  for (const group of groups) {
    const count = group.rows.length * layout.vectorsPerRow;
    const content = (hookPoint: HookPoint): ShardContent => ({ hookPoint, group, skipPositions, modelHash: model.info.weightsHash, tokensHash: tokens.hash });
    // The last hook point is written last: where its shard exists the group is complete.
    const last = hookPoints.at(-1)!;
    const there = await artefacts.readTensors(`${dir}/${shardPath(last, group.name)}`);
    if (there === null) {
      const read = await source.read(group, null, count);
      for (const hook of hookPoints) {
        const tensor = { shape: [group.rows.length, layout.vectorsPerRow, source.dIn], data: read.get(hook)! };
        await artefacts.writeTensors(`${dir}/${shardPath(hook, group.name)}`, new Map([[SHARD_TENSOR, tensor]]), shardMetadata(content(hook)), input.dtype);
      }
      writtenNow++;
    } else {
      checkShard(shardPath(last, group.name), there.metadata, content(last));
    }
    for (const hook of hookPoints) records.push({ file: shardPath(hook, group.name), hookPoint: hook, group: group.name, rows: group.rows.length, vectors: count });
    done += count;
    task.update(done, there === null ? undefined : 'already there');
  }
  await artefacts.writeRecords(`${dir}/shards.ndjson`, records);
  task.finish();
  return { vectors, writtenNow, seconds: (performance.now() - started) / 1000 };
}

export interface ShardInput {
  readonly artefacts: Artefacts;
  /** Folder that cacheActivations wrote. */
  readonly dir: string;
  readonly hookPoints: readonly HookPoint[];
  readonly dIn: number;
  readonly skipPositions: number;
  readonly modelHash: string;
  readonly tokensHash: string;
}

/** Activations from shards; the same numbers to the bit as the model gave, where they are float32. Throws STALE_OUTPUT or NOT_FOUND for other ones. */
export function shardSource({ artefacts, dir, hookPoints, dIn: D, skipPositions, modelHash, tokensHash }: ShardInput): ActivationSource {
  return {
    hookPoints,
    dIn: D,
    async read(group, places, limit, into) {
      const out = new Map<HookPoint, Float32Array>();
      for (const hookPoint of hookPoints) {
        const path = `${dir}/${shardPath(hookPoint, group.name)}`;
        const file = await artefacts.readTensors(path);
        if (file === null) throw new CallerError('NOT_FOUND', `activation shard ${path} does not exist; harvest more vectors, this hook point, or with this block size`);
        checkShard(path, file.metadata, { hookPoint, group, skipPositions, modelHash, tokensHash });
        const { shape, data } = file.tensors.get(SHARD_TENSOR) ?? { shape: [], data: new Float32Array(0) };
        const [rows, T] = shape as [number, number];
        if (rows !== group.rows.length || shape[2] !== D) throw new CallerError('STALE_OUTPUT', `activation shard ${path} has shape [${shape.join(', ')}], expected [${group.rows.length}, positions, ${D}]`);
        if (places === null && limit * D === data.length && into === undefined) {
          out.set(hookPoint, data);
          continue;
        }
        const target = room(into, hookPoint, limit * D);
        const where = places ?? Uint32Array.from({ length: rows * T }, (_, i) => i);
        scatterVectors(data, { rows, T, D, skip: 0 }, target, where, 0, limit);
        out.set(hookPoint, target);
      }
      return out;
    },
  };
}

function room(into: ReadonlyMap<HookPoint, Float32Array> | undefined, hook: HookPoint, length: number): Float32Array {
  if (into === undefined) return new Float32Array(length);
  const buffer = into.get(hook);
  invariant(buffer !== undefined && buffer.length >= length, `room for ${length} numbers of ${hook}`);
  return buffer.subarray(0, length);
}

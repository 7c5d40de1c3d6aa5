import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import { decodeInto, DTYPE_BYTES, headerLength, parseHeader } from '../../lm/safetensors.ts';
import type { TensorLocation } from '../../lm/safetensors.ts';

/** Bytes read or hashed between two turns of the event loop. */
const CHUNK = 4 << 20;

/** The tensors of a model folder: model.safetensors, or the shards model.safetensors.index.json names. */
export interface WeightFiles {
  readonly tensors: ReadonlyMap<string, TensorLocation & { readonly path: string }>;
  /** Every file, in the order they are hashed. */
  readonly paths: readonly string[];
}

/** Reads the headers only. Throws NOT_FOUND when the folder has no weights, BAD_MODEL_FILE for damaged files. */
export async function openWeightFiles(folder: string): Promise<WeightFiles> {
  const paths = await weightPaths(folder);
  const tensors = new Map<string, TensorLocation & { path: string }>();
  for (const path of paths) {
    for (const [name, location] of await readHeader(path)) tensors.set(name, { ...location, path });
  }
  return { tensors, paths };
}

async function weightPaths(folder: string): Promise<string[]> {
  const single = join(folder, 'model.safetensors');
  if (await exists(single)) return [single];
  const index = join(folder, 'model.safetensors.index.json');
  if (!(await exists(index))) {
    throw new CallerError('NOT_FOUND', `${folder}: expected model.safetensors or model.safetensors.index.json, found neither`);
  }
  const map = parseIndex(await readText(index));
  const shards = [...new Set(Object.values(map))].sort();
  for (const shard of shards) {
    if (shard !== basename(shard)) throw new CallerError('BAD_MODEL_FILE', `${index}: shard "${shard}" is no plain file name`);
    if (!(await exists(join(folder, shard)))) {
      throw new CallerError('BAD_MODEL_FILE', `${index} names the shard ${shard}, which is not in the folder`);
    }
  }
  return shards.map((shard) => join(folder, shard));
}

function parseIndex(text: string): Record<string, string> {
  try {
    const { weight_map: map } = JSON.parse(text) as { weight_map?: Record<string, string> };
    if (map !== undefined && Object.values(map).every((file) => typeof file === 'string')) return map;
  } catch (cause) {
    throw new CallerError('BAD_MODEL_FILE', 'model.safetensors.index.json is not JSON', { cause });
  }
  throw new CallerError('BAD_MODEL_FILE', 'model.safetensors.index.json: expected a weight_map of tensor names to files');
}

async function readHeader(path: string): Promise<Map<string, TensorLocation>> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const prefix = await readExactly(file, 0, Math.min(8, size), path);
    const length = headerLength(prefix, size, path);
    return parseHeader(await readExactly(file, 8, length, path), size, path);
  } finally {
    await file.close();
  }
}

async function readExactly(file: Awaited<ReturnType<typeof open>>, at: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await file.read(bytes, got, length - got, at + got);
    if (bytesRead === 0) throw new CallerError('BAD_MODEL_FILE', `${path}: expected ${length} bytes at ${at}, found ${got}: truncated`);
    got += bytesRead;
  }
  return bytes;
}

/** Reads one tensor into `out` as float32, in chunks. */
export async function readTensor(location: TensorLocation & { readonly path: string }, out: Float32Array): Promise<void> {
  const width = DTYPE_BYTES[location.dtype];
  const file = await open(location.path);
  try {
    const step = CHUNK / width;
    for (let first = 0; first < out.length; first += step) {
      const count = Math.min(step, out.length - first);
      const bytes = await readExactly(file, location.start + first * width, count * width, location.path);
      decodeInto(out.subarray(first, first + count), bytes, location.dtype);
    }
  } finally {
    await file.close();
  }
}

const hashes = new Map<string, Promise<string>>();

/**
 * sha-256 over the bytes of the files, one after the other, lower-case hex. Remembered in memory under path, size and time of
 * change, so that opening the same model again does not read it twice.
 */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(paths.map((path) => stat(path)));
  const key = JSON.stringify(paths.map((path, i) => [path, stats[i].size, stats[i].mtimeMs]));
  let hash = hashes.get(key);
  if (hash === undefined) {
    hash = hashNow(paths);
    hashes.set(key, hash);
    hash.catch(() => hashes.delete(key));
  }
  return hash;
}

async function hashNow(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    const file = await open(path);
    try {
      for await (const chunk of file.createReadStream({ highWaterMark: CHUNK, autoClose: false })) hash.update(chunk as Buffer);
    } finally {
      await file.close();
    }
  }
  return hash.digest('hex');
}

/** Reads a text file; OutsideError('disk') when the disk fails, NOT_FOUND when it is not there. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) throw new CallerError('NOT_FOUND', `${path}: expected a file, found none`, { cause });
    throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (cause) {
    if (isMissing(cause)) return false;
    throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

function isMissing(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

import type { DictionaryQuality, DictionaryWeights } from '../domain/dictionary.ts';

/** Files a stage leaves for the next one: self-describing folders and newline-delimited JSON. Writes appear whole or not at all. */
export interface Artefacts {
  /** Writes `dir`/cfg.json and `dir`/weights.safetensors; returns the weights with `config.weightsHash` filled in. */
  writeDictionary(dir: string, weights: DictionaryWeights, quality: DictionaryQuality | null): Promise<DictionaryWeights>;
  /** Throws BAD_DICTIONARY when files are missing, truncated, of another format version, or hold NaN. */
  readDictionary(dir: string): Promise<{ weights: DictionaryWeights; quality: DictionaryQuality | null }>;
  /** Streams records to a temporary name, renamed when the source ends. One JSON value a line. */
  writeRecords<T>(path: string, records: AsyncIterable<T> | Iterable<T>): Promise<{ count: number; hash: string }>;
  /** Appends whole lines and flushes them to disk: a resume log. A torn last line is ignored by readRecords. */
  appendRecords<T>(path: string, records: readonly T[]): Promise<void>;
  /** Streams; an absent file yields nothing only when `optional`. */
  readRecords<T>(path: string, options?: { optional?: boolean }): AsyncIterable<T>;
  /**
   * Named tensors (safetensors), for checkpoints and shards; `metadata` are strings stored in the header. float16 rounds, and throws BAD_INPUT
   * for a number beyond its range (65504).
   */
  writeTensors(path: string, tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>, metadata?: Readonly<Record<string, string>>, dtype?: 'float32' | 'float16'): Promise<void>;
  readTensors(path: string): Promise<{ tensors: Map<string, { shape: readonly number[]; data: Float32Array }>; metadata: Record<string, string> } | null>;
  /** Deletes a file or folder; nothing happens when there is none. */
  remove(path: string): Promise<void>;
}

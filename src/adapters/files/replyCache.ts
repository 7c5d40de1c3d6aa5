import { createHash } from 'node:crypto';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { OutsideError, invariant, messageOf } from '../../domain/errors.ts';
import type { ReplyCache } from '../../ports/ReplyCache.ts';
import { fileLines } from './lines.ts';
import { openIn, syncFolder, writeFully } from './wholeFile.ts';

export interface FileReplyCache extends ReplyCache {
  stats(): ReplyCacheStats;
}

export interface ReplyCacheStats {
  readonly entries: number;
  readonly segments: number;
  /** Lines that are not what was written: skipped, so their requests will be asked again. */
  readonly damaged: number;
}

const SEGMENT = /^replies-(\d{6})\.jsonl$/;
/** `{"key":"…64 hex…","check":"…16 hex…","answer":` then the answer and `}`. */
const HEAD = /^\{"key":"([0-9a-f]{64})","check":"([0-9a-f]{16})","answer":$/;
const HEAD_BYTES = 110;

/**
 * A ReplyCache in a folder of its own: append-only segments `replies-000001.jsonl` … of one JSON object a line, each with a check
 * (begin of the sha-256 of key and answer). A process writes only to a segment that it created itself, at its first `put`, so nobody ever
 * writes behind a line that a kill tore. Puts that come together share a write and a flush. In memory: about 100 bytes an
 * entry; answers stay on disk. Throws OutsideError('disk') when the folder cannot be read or written.
 */
export async function openReplyCache(folder: string): Promise<FileReplyCache> {
  const cache = new Segments(folder);
  await cache.load();
  return cache;
}

/** Places of lines, in columns: an object each would take several times the room. */
class Places {
  #count = 0;
  #segments = new Uint32Array(1024);
  #offsets = new Float64Array(1024);
  #lengths = new Uint32Array(1024);

  add(segment: number, offset: number, length: number): number {
    if (this.#count === this.#offsets.length) {
      this.#segments = grown(this.#segments, new Uint32Array(this.#count * 2));
      this.#offsets = grown(this.#offsets, new Float64Array(this.#count * 2));
      this.#lengths = grown(this.#lengths, new Uint32Array(this.#count * 2));
    }
    this.#segments[this.#count] = segment;
    this.#offsets[this.#count] = offset;
    this.#lengths[this.#count] = length;
    return this.#count++;
  }

  at(place: number): { segment: number; offset: number; length: number } {
    return { segment: this.#segments[place], offset: this.#offsets[place], length: this.#lengths[place] };
  }
}

function grown<A extends Uint32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

interface Pending {
  readonly key: string;
  readonly line: Buffer;
  done(): void;
  failed(error: unknown): void;
}

class Segments implements FileReplyCache {
  readonly #folder: string;
  readonly #places = new Places();
  /** Key (32 bytes as a string of as many characters) → place. */
  readonly #index = new Map<string, number>();
  #segments = 0;
  #highest = 0;
  #damaged = 0;
  #own: { readonly file: FileHandle; readonly number: number; size: number } | null = null;
  #pending: Pending[] = [];
  #flushing: Promise<void> | null = null;
  #closed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<void> {
    const names = await readdir(this.#folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw new OutsideError('disk', `cannot read ${this.#folder}: ${messageOf(cause)}`, { cause });
    });
    const numbers = names.flatMap((name) => SEGMENT.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b); // prettier-ignore
    for (const number of numbers) {
      let offset = 0;
      for await (const { bytes, ended } of fileLines(this.#path(number))) {
        if (!ended) break; // torn by a kill, or still being written: its put never returned
        const key = checkedKey(bytes);
        if (key === null) this.#damaged++;
        else this.#index.set(packed(key), this.#places.add(number, offset, bytes.length));
        offset += bytes.length + 1;
      }
    }
    this.#segments = numbers.length;
    this.#highest = numbers.at(-1) ?? 0;
  }

  async get(key: string): Promise<unknown> {
    const place = this.#index.get(packed(key));
    if (place === undefined) return null;
    const { segment, offset, length } = this.#places.at(place);
    const line = await this.#read(segment, offset, length);
    if (checkedKey(line) !== key) {
      // Damaged since it was indexed.
      this.#damaged++;
      this.#index.delete(packed(key));
      return null;
    }
    return JSON.parse(line.toString('utf8', HEAD_BYTES, line.length - 1)) as unknown;
  }

  put(key: string, answer: unknown): Promise<void> {
    invariant(!this.#closed, 'put into a closed reply cache');
    invariant(/^[0-9a-f]{64}$/.test(key), 'a key of the reply cache is a hex sha-256');
    invariant(answer !== null && answer !== undefined, 'an answer is something');
    const text = JSON.stringify(answer);
    const line = Buffer.from(`{"key":"${key}","check":"${checkOf(key, text)}","answer":${text}}\n`);
    return new Promise((done, failed) => {
      this.#pending.push({ key, line, done, failed });
      this.#flushing ??= this.#flush();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#flushing;
    await this.#own?.file.close();
    this.#own = null;
  }

  stats(): ReplyCacheStats {
    return { entries: this.#index.size, segments: this.#segments, damaged: this.#damaged };
  }

  async #flush(): Promise<void> {
    // Puts of the same turn of the event loop go together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await this.#append(batch);
        batch.forEach(({ done }) => done());
      } catch (error) {
        batch.forEach(({ failed }) => failed(error));
      }
    }
    this.#flushing = null;
  }

  async #append(batch: readonly Pending[]): Promise<void> {
    const own = (this.#own ??= await this.#createSegment());
    try {
      await writeFully(own.file, Buffer.concat(batch.map(({ line }) => line)));
      await own.file.datasync();
    } catch (cause) {
      // Nobody knows how far that got: the next put begins another segment.
      this.#own = null;
      await own.file.close().catch(() => undefined);
      throw cause instanceof OutsideError ? cause : new OutsideError('disk', `cannot write ${this.#path(own.number)}: ${messageOf(cause)}`, { cause });
    }
    for (const { key, line } of batch) {
      this.#index.set(packed(key), this.#places.add(own.number, own.size, line.length - 1));
      own.size += line.length;
    }
  }

  /** Of processes that try the same number, one succeeds; the others try the next. */
  async #createSegment(): Promise<{ file: FileHandle; number: number; size: number }> {
    for (;;) {
      const number = ++this.#highest;
      try {
        const file = await openIn(this.#path(number), 'wx');
        await syncFolder(this.#folder);
        this.#segments++;
        return { file, number, size: 0 };
      } catch (error) {
        // A file in the place of the folder has the same code, but not from opening.
        const cause = error instanceof OutsideError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
        if (cause?.code !== 'EEXIST' || cause.syscall !== 'open') throw error;
      }
    }
  }

  async #read(segment: number, offset: number, length: number): Promise<Buffer> {
    const path = this.#path(segment);
    try {
      const file = await open(path, 'r');
      try {
        const line = Buffer.alloc(length);
        const { bytesRead } = await file.read(line, 0, length, offset);
        return line.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    } catch (cause) {
      throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  #path(number: number): string {
    return join(this.#folder, `replies-${String(number).padStart(6, '0')}.jsonl`);
  }
}

/** The key of a line that is as it was written; null for any other. */
function checkedKey(line: Buffer): string | null {
  const head = HEAD.exec(line.toString('latin1', 0, HEAD_BYTES));
  if (head === null || line.at(-1) !== 0x7d) return null;
  const [, key, check] = head;
  return checkOf(key, line.subarray(HEAD_BYTES, line.length - 1)) === check ? key : null;
}

function checkOf(key: string, answer: string | Buffer): string {
  return createHash('sha256').update(key).update(answer).digest('hex').slice(0, 16);
}

function packed(key: string): string {
  return Buffer.from(key, 'hex').toString('latin1');
}

import { createHash } from 'node:crypto';
import { CallerError } from '../domain/errors.ts';
import type { Run } from '../domain/run.ts';
import type { BatchFiles, BatchLine } from '../ports/BatchFiles.ts';
import type { BulkView } from '../ports/CatalogBulk.ts';
import { batchLines, rowPlace } from './catalogBatches.ts';
import { runOf } from './catalogHeads.ts';
import { BATCH_FEATURES, batchPath, setName, type BatchKind, type BulkManifest } from './catalogLayout.ts';
import type { RowPlace } from './catalogRows.ts';
import { LineReader } from './lineReader.ts';

type Kind = BatchKind | 'patches';
/** What is said of features, and what was measured between dictionaries: loaded one after the other. */
export const DESCRIBED: readonly Exclude<BatchKind, 'runs'>[] = ['features', 'activations', 'explanations', 'scores', 'skips'];
export const MEASURED: readonly Exclude<BatchKind, 'runs'>[] = ['edges', 'output_edges', 'nearest'];

/**
 * One dictionary's folder. With a manifest every file is checked against it as it is read, and files that an earlier export has are
 * taken from the catalog, which must hold the same.
 */
export class CatalogFolder {
  readonly manifest: BulkManifest | null;
  readonly #files: BatchFiles;
  readonly #folder: string;
  readonly #view: BulkView | null;

  constructor(files: BatchFiles, folder: string, manifest: BulkManifest | null, view: BulkView | null) {
    this.#files = files;
    this.#folder = folder;
    this.manifest = manifest;
    this.#view = view;
  }

  /** How lines of the catalog say where they belong; read once. */
  #placed: Promise<RowPlace> | undefined;

  /** Numbers of the batches of a kind, ascending. */
  async batches(kind: Kind): Promise<readonly number[]> {
    const names = this.manifest === null ? await this.#files.list(`${this.#folder}/${kind}`) : Object.keys(this.manifest.files).flatMap((path) => (path.startsWith(`${kind}/`) ? [path.slice(kind.length + 1)] : []));
    return names.flatMap((name) => /^batch-(\d+)\.jsonl\.gz$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
  }

  async *batch(kind: Kind, n: number): AsyncGenerator<LineReader, void, undefined> {
    const instead = isDerived(kind) ? (view: BulkView) => this.#linesOf(view, kind, n, this.manifest!) : null;
    for await (const line of this.#checked(batchPath(kind, n), instead)) yield LineReader.of(line);
  }

  /** Lines of every batch of a kind. */
  async *all(kind: Kind): AsyncGenerator<LineReader, void, undefined> {
    for (const n of await this.batches(kind)) yield* this.batch(kind, n);
  }

  /** Lines of one of the plain files. */
  async *plain(path: string): AsyncGenerator<BatchLine, void, undefined> {
    yield* this.#checked(path, null);
  }

  /** The first line of a plain file, which is read to its end: only then is it known to be whole. */
  async first(path: string): Promise<LineReader | null> {
    let first: LineReader | null = null;
    for await (const line of this.plain(path)) first ??= LineReader.of(line);
    return first;
  }

  async *runs(): AsyncGenerator<Run, void, undefined> {
    for await (const line of this.plain('run.jsonl')) yield runOf(LineReader.of(line));
    for await (const line of this.all('runs')) yield runOf(line);
  }

  /** What an export with this manifest's filter would write of the catalog. */
  async *#linesOf(view: BulkView, kind: Exclude<BatchKind, 'runs'>, n: number, { filter }: BulkManifest): AsyncGenerator<string, void, undefined> {
    const indices = await view.indices(Math.max(filter.from ?? 0, n * BATCH_FEATURES), Math.min(filter.to ?? Infinity, view.dictionary.nFeatures, (n + 1) * BATCH_FEATURES), filter);
    yield* batchLines(kind, view, await (this.#placed ??= rowPlace(view, setName(view.dictionary.name))), indices, new Set());
  }

  async *#checked(path: string, instead: ((view: BulkView) => AsyncIterable<string>) | null): AsyncGenerator<BatchLine, void, undefined> {
    const entry = this.manifest?.files[path];
    if (this.manifest !== null && entry === undefined) return;
    const whole = `${this.#folder}/${path}`;
    const here = await this.#files.has(whole);
    if (!here && entry === undefined) return;
    if (!here && (entry?.elsewhere !== true || instead === null || this.#view === null)) {
      if (entry?.elsewhere === true && instead === null) return;
      throw new CallerError('BAD_INPUT', `${whole} is not there, and the manifest names it: ${entry?.elsewhere === true ? 'import the export that this one continues first' : 'the export is not whole; export again'}`);
    }
    const hash = createHash('sha256');
    for await (const line of here ? this.#files.read(whole) : placed(path, instead!(this.#view!))) {
      if (entry !== undefined) hash.update(`${line.text}\n`);
      yield line;
    }
    if (entry !== undefined && hash.digest('hex') !== entry.sha256) {
      throw new CallerError('BAD_INPUT', here ? `${whole} is not what the manifest says it is: the file was changed or damaged; export again` : `${whole} is not there, and the catalog holds something else: import the export that this one continues first`);
    }
  }
}

async function* placed(path: string, lines: AsyncIterable<string>): AsyncGenerator<BatchLine, void, undefined> {
  let number = 0;
  for await (const text of lines) yield { place: `${path} of the catalog:${++number}`, text };
}

/** Whether a batch that an earlier export has can be read from the catalog instead; patches and runs that it has need not be. */
const isDerived = (kind: Kind): kind is Exclude<BatchKind, 'runs'> => kind !== 'runs' && kind !== 'patches';

/** Whether the catalog holds just what the manifest says of these kinds. Stops at the first batch that differs. */
export async function sameAs(view: BulkView, manifest: BulkManifest, kinds: readonly Exclude<BatchKind, 'runs'>[]): Promise<boolean> {
  const batches = Math.ceil(view.dictionary.nFeatures / BATCH_FEATURES);
  const place = await rowPlace(view, setName(view.dictionary.name));
  const { filter } = manifest;
  for (let n = 0; n < batches; n++) {
    const indices = await view.indices(Math.max(filter.from ?? 0, n * BATCH_FEATURES), Math.min(filter.to ?? Infinity, (n + 1) * BATCH_FEATURES), filter);
    for (const kind of kinds) if (!(await hashesTo(batchLines(kind, view, place, indices, new Set()), manifest.files[batchPath(kind, n)]?.sha256))) return false;
  }
  return true;
}

export async function hashesTo(lines: AsyncIterable<string> | Iterable<string>, expected: string | undefined): Promise<boolean> {
  const hash = createHash('sha256');
  let any = false;
  for await (const line of lines) {
    hash.update(`${line}\n`);
    any = true;
  }
  return any ? hash.digest('hex') === expected : expected === undefined;
}

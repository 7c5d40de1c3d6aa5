import type { Artefacts } from '../../ports/Artefacts.ts';

/** A step of spending. Ids are unique in a file. */
export type LedgerRecord =
  /** About to be sent; counts as spent in full until it is settled, so that a kill in between hides nothing. */
  | { readonly kind: 'reserve'; readonly id: number; readonly prompt: number; readonly completion: number }
  | { readonly kind: 'settle'; readonly id: number; readonly prompt: number; readonly completion: number; readonly estimated: boolean }
  /** Never paid after all. */
  | { readonly kind: 'release'; readonly id: number }
  /** A sending whose answer was lost, so that it may have been paid for. */
  | { readonly kind: 'lost'; readonly prompt: number; readonly completion: number };

export interface LedgerFile {
  readonly artefacts: Pick<Artefacts, 'appendRecords' | 'readRecords'>;
  readonly path: string;
}

/** Appends records one write at a time (the file allows no two at once); those that come meanwhile go to disk together. */
export class Ledger {
  readonly #file: LedgerFile;
  #waiting: LedgerRecord[] = [];
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(file: LedgerFile) {
    this.#file = file;
  }

  /** Returns once the record is on disk. */
  append(record: LedgerRecord): Promise<void> {
    this.#waiting.push(record);
    this.#next ??= this.#flushAfter(this.#last);
    return this.#next;
  }

  async #flushAfter(before: Promise<void>): Promise<void> {
    await before.catch(() => undefined); // its own callers were told
    const records = this.#waiting;
    this.#waiting = [];
    this.#last = this.#file.artefacts.appendRecords(this.#file.path, records);
    this.#next = null;
    await this.#last;
  }
}

import { setImmediate } from 'node:timers/promises';

/** Multiply-adds, or what takes as long, done on this thread before others get a turn: a few milliseconds. */
const WORK_AT_ONCE = 4_000_000;

/** Counts what is computed on this thread, so that long loops leave the event loop free. One per call. */
export class Turns {
  #work = 0;

  /** Whether others should get a turn before `work` more is done; then await `give()`. */
  due(work: number): boolean {
    this.#work += work;
    return this.#work > WORK_AT_ONCE;
  }

  async give(): Promise<void> {
    this.#work = 0;
    await setImmediate();
  }
}

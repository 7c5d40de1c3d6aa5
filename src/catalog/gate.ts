import { CallerError } from '../domain/errors.ts';

/** How work that needs a place gets one. */
export interface Turns {
  /**
   * Runs the task when its turn comes. Throws BUSY, with when to try again, where too many wait; the signal's reason where it
   * is aborted before the task began (a task that began is not disturbed).
   */
  run<T>(task: () => Promise<T>, options?: TurnOptions): Promise<T>;
}

export interface TurnOptions {
  readonly signal?: AbortSignal;
  /** The work goes on from an earlier turn: it waits behind the others, but is not refused. */
  readonly resumes?: boolean;
}

/** Seconds of a run before any was measured. */
const FIRST_GUESS = 1;
/** Weight of the latest run in the mean of run times. */
const LATEST = 0.1;
/** No sooner than this: a client that asks at once again only adds to the load. */
const SOONEST = 0.1;
/** Most callers that were sent away and are reckoned to come back. */
const MOST_EXPECTED = 1000;

interface Waiting {
  readonly start: () => void;
}

/** Lets `running` tasks run at once and `waiting` wait behind them, first come first served; more are refused with BUSY. */
export class Gate implements Turns {
  readonly #running: number;
  readonly #waiting: number;
  #active = 0;
  /** Refused, and not yet made up for by as many tasks done: who is refused next is told to come after them. */
  #expected = 0;
  #meanSeconds = FIRST_GUESS;
  readonly #queue = new Set<Waiting>();

  constructor(running: number, waiting: number) {
    this.#running = running;
    this.#waiting = waiting;
  }

  /** Tasks under way, and behind them. */
  get state(): { readonly running: number; readonly waiting: number } {
    return { running: this.#active, waiting: this.#queue.size };
  }

  async run<T>(task: () => Promise<T>, { signal, resumes = false }: TurnOptions = {}): Promise<T> {
    signal?.throwIfAborted();
    if (this.#active >= this.#running) {
      if (!resumes && this.#queue.size >= this.#waiting) throw this.#busy();
      await this.#turn(signal);
    } else {
      this.#active++;
    }
    const started = performance.now();
    try {
      return await task();
    } finally {
      this.#meanSeconds += LATEST * ((performance.now() - started) / 1000 - this.#meanSeconds);
      this.#next();
    }
  }

  /** The task that ends hands its place over, so #active stays as it is. */
  #next(): void {
    if (this.#expected > 0) this.#expected--;
    const [next] = this.#queue;
    if (next === undefined) this.#active--;
    else {
      this.#queue.delete(next);
      next.start();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        this.#queue.delete(waiting);
        reject(signal?.reason as Error);
      };
      const waiting: Waiting = {
        start: () => {
          signal?.removeEventListener('abort', abandon);
          resolve();
        },
      };
      this.#queue.add(waiting);
      signal?.addEventListener('abort', abandon, { once: true });
    });
  }

  /** Who is refused may come back when those before him are likely done: mean time of a run × those under way, waiting and refused before / runs at once. */
  #busy(): CallerError {
    const seconds = Math.max(SOONEST, (this.#meanSeconds * (this.#active + this.#queue.size + this.#expected)) / this.#running);
    this.#expected = Math.min(this.#expected + 1, MOST_EXPECTED);
    const retryAfterSeconds = Math.ceil(seconds * 10) / 10;
    return new CallerError('BUSY', `${this.#active} model runs are under way and ${this.#queue.size} wait: try again in ${retryAfterSeconds} s`, { retryAfterSeconds });
  }
}

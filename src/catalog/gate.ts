import { CallerError } from '../domain/errors.ts';

/** Lets `running` tasks run at once and `waiting` wait behind them, first come first served; more are refused with BUSY. */
export class Gate {
  readonly #running: number;
  readonly #waiting: number;
  #active = 0;
  readonly #queue: (() => void)[] = [];

  constructor(running: number, waiting: number) {
    this.#running = running;
    this.#waiting = waiting;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#active >= this.#running) {
      if (this.#queue.length >= this.#waiting) {
        throw new CallerError('BUSY', `${this.#active} model runs are under way and ${this.#queue.length} wait: try again later`);
      }
      // The task that ends hands its place over, so #active stays as it is.
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      this.#active++;
    }
    try {
      return await task();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#active--;
      else next();
    }
  }
}

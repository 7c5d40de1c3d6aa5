import type { MessagePort, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { OutsideError, messageOf } from '../../domain/errors.ts';

/** Longest that closing waits for threads that are still loading. */
const LOADING_MS = 30_000;

/**
 * A fixed number of threads that run tasks in order of arrival, each one at a time unless told otherwise. A thread that dies fails its task with
 * OutsideError('onnxruntime') and is replaced.
 */
export class WorkerPool<Task, Result> {
  readonly #pool: Piscina<Task, Result>;
  readonly #pending = new Set<Promise<unknown>>();
  readonly size: number;
  /** Until each thread has loaded its module, or ended. */
  readonly #loading = new Map<Worker, Promise<void>>();
  #closed: Promise<void> | undefined;

  /** `file` exports the task's function as default; `setup` is its workerData. */
  constructor(file: URL, size: number, setup: unknown, tasksPerThread = 1) {
    this.size = size;
    this.#pool = new Piscina<Task, Result>({
      filename: file.href,
      minThreads: size,
      maxThreads: size,
      concurrentTasksPerWorker: tasksPerThread,
      workerData: setup,
    });
    this.#watch();
    // A thread that dies between tasks is replaced by the pool; there is nobody else to tell.
    this.#pool.on('error', () => queueMicrotask(() => this.#watch()));
  }

  /** `handedOver`: parts of the task that move to the thread instead of being copied. */
  async run(task: Task, handedOver: readonly MessagePort[] = []): Promise<Result> {
    if (this.#closed !== undefined) throw new OutsideError('onnxruntime', 'the model is closed');
    const running = this.#pool.run(task, { transferList: [...handedOver] });
    this.#pending.add(running);
    try {
      return await running;
    } catch (cause) {
      throw new OutsideError('onnxruntime', `a model run failed: ${messageOf(cause)}`, { cause });
    } finally {
      this.#pending.delete(running);
      this.#watch();
    }
  }

  /** A thread's first message says that its module is loaded. (The pool's own event for it comes at once for the first threads.) */
  #watch(): void {
    for (const thread of this.#pool.threads) {
      if (this.#loading.has(thread)) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      thread.once('message', () => resolve());
      thread.once('exit', () => {
        resolve();
        this.#loading.delete(thread);
      });
      this.#loading.set(thread, promise);
    }
  }

  /** Lets running tasks finish, then ends all threads. */
  async close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await Promise.allSettled(this.#pending);
    // Ending a thread while it loads its module aborts the whole process (Node 24, and onnxruntime's module too).
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, LOADING_MS); // also keeps the process alive: the threads do not
    await Promise.race([Promise.all(this.#loading.values()), patience.promise]);
    clearTimeout(timer);
    await this.#pool.destroy();
  }
}

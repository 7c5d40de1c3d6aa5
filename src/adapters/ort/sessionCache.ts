import type { InferenceSession } from 'onnxruntime-node';

/**
 * Keeps sessions by key, the least recently used go when their weights exceed `budgetBytes`; the one just made always stays.
 * A session holds its own packed copy of its weights, so the budget bounds a worker's memory.
 */
export class SessionCache<T extends { readonly session: InferenceSession; readonly weightBytes: number }> {
  readonly #budgetBytes: number;
  readonly #entries = new Map<string, T>();
  #bytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Not for concurrent use with one key: a worker runs one task at a time. */
  async get(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known;
    }
    const made = await make();
    this.#entries.set(key, made);
    this.#bytes += made.weightBytes;
    for (const [oldKey, old] of this.#entries) {
      if (this.#bytes <= this.#budgetBytes || oldKey === key) break;
      this.#entries.delete(oldKey);
      this.#bytes -= old.weightBytes;
      await old.session.release();
    }
    return made;
  }
}

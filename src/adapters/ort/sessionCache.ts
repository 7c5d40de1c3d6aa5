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

  /**
   * Not for concurrent use with one key: a worker runs one task at a time. `weightBytes`, where known before the session is made,
   * lets others go first, so that old and new never stand side by side beyond the budget.
   */
  async get(key: string, make: () => Promise<T>, weightBytes = 0): Promise<T> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known;
    }
    await this.#makeRoom(weightBytes);
    const made = await make();
    await this.#makeRoom(made.weightBytes);
    this.#entries.set(key, made);
    this.#bytes += made.weightBytes;
    return made;
  }

  async #makeRoom(weightBytes: number): Promise<void> {
    for (const [key, old] of this.#entries) {
      if (this.#bytes + weightBytes <= this.#budgetBytes) break;
      this.#entries.delete(key);
      this.#bytes -= old.weightBytes;
      await old.session.release();
    }
  }
}

/**
 * Results by key, in memory: made once for all who ask while they are made or kept. The least recently asked-for go first when there
 * are more than `most`; a failure is not kept.
 */
export class Recent<T> {
  readonly #most: number;
  readonly #entries = new Map<string, Promise<T>>();

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string, make: () => Promise<T>): Promise<T> {
    const found = this.#entries.get(key) ?? make();
    this.#entries.delete(key);
    this.#entries.set(key, found);
    found.catch(() => {
      if (this.#entries.get(key) === found) this.#entries.delete(key);
    });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#most) break;
      this.#entries.delete(oldest);
    }
    return found;
  }
}

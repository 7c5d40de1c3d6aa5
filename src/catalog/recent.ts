/**
 * Results by key, in memory: made once for all who ask while they are made or kept. The least recently asked-for go first when more
 * than `most` are kept. A failure is not kept, and takes no other's place.
 */
export class Recent<T> {
  readonly #most: number;
  readonly #making = new Map<string, Promise<T>>();
  readonly #kept = new Map<string, T>();

  constructor(most: number) {
    this.#most = most;
  }

  async get(key: string, make: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#keep(key, kept);
      return kept;
    }
    const known = this.#making.get(key);
    if (known !== undefined) return known;
    const making = make();
    this.#making.set(key, making);
    try {
      const made = await making;
      this.#keep(key, made);
      return made;
    } finally {
      this.#making.delete(key);
    }
  }

  #keep(key: string, result: T): void {
    this.#kept.delete(key);
    this.#kept.set(key, result);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#most) this.#kept.delete(oldest!);
  }
}

/** Tokens that fire a feature alone, strongest first. */
export type AloneTokens = readonly { readonly token: number; readonly value: number }[];

/**
 * For every feature, the tokens on which it fires when they stand alone in a document (row = document start, token). Filled row by
 * row; only the `most` strongest tokens of a feature are kept, so memory is bounded by F·most.
 */
export class AloneTable {
  readonly #most: number;
  readonly #tokens: Map<number, { token: number; value: number }[]> = new Map();
  readonly #fired: Map<number, number> = new Map();
  /** Features whose list changed since it was last ordered. */
  readonly #unordered: Set<number> = new Set();

  constructor(most: number) {
    this.#most = most;
  }

  add(token: number, features: ArrayLike<number>, values: ArrayLike<number>): void {
    for (let i = 0; i < features.length; i++) {
      const feature = features[i];
      this.#fired.set(feature, (this.#fired.get(feature) ?? 0) + 1);
      let list = this.#tokens.get(feature);
      if (list === undefined) this.#tokens.set(feature, (list = []));
      list.push({ token, value: values[i] });
      this.#unordered.add(feature);
      if (list.length >= 4 * this.#most) this.#order(list);
    }
  }

  of(feature: number): AloneTokens {
    const list = this.#tokens.get(feature);
    if (list === undefined) return [];
    if (this.#unordered.delete(feature)) this.#order(list);
    return list;
  }

  /** Tokens that fired the feature alone, kept or not. */
  fired(feature: number): number {
    return this.#fired.get(feature) ?? 0;
  }

  #order(list: { token: number; value: number }[]): void {
    list.sort((a, b) => b.value - a.value || a.token - b.token);
    if (list.length > this.#most) list.length = this.#most;
  }
}

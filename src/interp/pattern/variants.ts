/**
 * Finds tokens of a vocabulary that differ only in case or in surrounding space. White space itself has no variants, nor have tokens
 * that are part of a character.
 */
export class Variants {
  readonly #byWord: Map<string, number[]> = new Map();
  readonly #texts: readonly string[];

  /** @param texts text of every token, index = id. */
  constructor(texts: readonly string[]) {
    this.#texts = texts;
    texts.forEach((text, id) => {
      const word = text.trim().toLowerCase();
      if (word === '' || word.includes('\uFFFD')) return;
      const ids = this.#byWord.get(word);
      if (ids === undefined) this.#byWord.set(word, [id]);
      else ids.push(id);
    });
  }

  /** The other spellings of a token, by id. */
  of(id: number): readonly number[] {
    const word = (this.#texts[id] ?? '').trim().toLowerCase();
    return (this.#byWord.get(word) ?? []).filter((other) => other !== id);
  }
}

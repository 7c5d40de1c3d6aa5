/** Texts to vectors. */
export interface EmbeddingModel {
  readonly name: string;
  readonly identity: Readonly<Record<string, unknown>>;
  /** One unit-length vector per text, in order. */
  embed(texts: readonly string[]): Promise<readonly Float32Array[]>;
}

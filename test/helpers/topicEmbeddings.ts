import type { EmbeddingModel } from '../../src/ports/EmbeddingModel.ts';

/** Groups of words that mean alike; a text's vector counts each group's words. */
const GROUPS = [['giraffe', 'animal', 'zoo'], ['river', 'water', 'lake'], ['monday', 'weekday', 'calendar']] as const;

/** A tiny embedding model whose answers can be foretold; `texts` counts what it was asked. */
export function topicEmbeddings(name = 'topics'): EmbeddingModel & { texts: number } {
  const model = {
    name,
    identity: { name },
    texts: 0,
    embed(texts: readonly string[]): Promise<readonly Float32Array[]> {
      model.texts += texts.length;
      return Promise.resolve(
        texts.map((text) => {
          const counts = [...GROUPS.map((words) => words.filter((word) => text.includes(word)).length), 0.01];
          const norm = Math.hypot(...counts);
          return Float32Array.from(counts, (count) => count / norm);
        }),
      );
    },
  };
  return model;
}

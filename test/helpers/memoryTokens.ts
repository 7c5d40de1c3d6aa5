import { Rng } from '../../src/math/rng.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';

/** Random token rows in memory. */
export function memoryTokens(rows: number, cols: number, vocabSize = 512, seed = 1): TokenRows {
  const rng = new Rng(seed);
  const ids = Int32Array.from({ length: rows * cols }, () => rng.int(vocabSize));
  return {
    rows,
    cols,
    hash: `tokens-${rows}-${cols}-${seed}`,
    tokenizerHash: 'tok',
    read(indices) {
      const out = new Int32Array(indices.length * cols);
      for (let i = 0; i < indices.length; i++) out.set(ids.subarray(indices[i]! * cols, (indices[i]! + 1) * cols), i * cols);
      return Promise.resolve(out);
    },
    close: () => Promise.resolve(),
  };
}

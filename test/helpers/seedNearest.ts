import { Rng } from '../../src/math/rng.ts';
import type { CatalogWriter, NearestLoad } from '../../src/ports/CatalogWriter.ts';
import type { Nearest } from '../../src/ports/NearestRows.ts';
import { makeRun } from './catalogData.ts';

export interface NearestEnd {
  readonly dictionary: string;
  readonly weightsHash: string;
  readonly features: number;
}

/** Made-up nearest features of one dictionary in another: cosines in falling order with ties; feature 3 has none. */
export function madeNearest(from: NearestEnd, to: NearestEnd, k: number): Nearest {
  const rng = Rng.derive(5, from.dictionary, to.dictionary);
  const indices = new Int32Array(from.features * k).fill(-1);
  const cosines = new Float32Array(from.features * k);
  for (let i = 0; i < from.features; i++) {
    if (i === 3) continue;
    const first = rng.int(to.features);
    const drawn = Array.from({ length: k }, (_, step) => ({ index: (first + 7 * step) % to.features, cosine: (rng.int(9) - 2) / 8 }));
    drawn.sort((a, b) => b.cosine - a.cosine || a.index - b.index);
    for (const [rank, { index, cosine }] of drawn.entries()) {
      indices[i * k + rank] = index;
      cosines[i * k + rank] = cosine;
    }
  }
  return { k, indices, cosines };
}

/** Every ordered pair of them, as one run measured it. */
export function nearestLoads(ends: readonly NearestEnd[], k: number, run = makeRun('nearest')): NearestLoad[] {
  return ends.flatMap((from) => ends.filter((to) => to !== from).map((to) => ({ run, from, to, read: async () => Promise.resolve(madeNearest(from, to, k)) })));
}

export async function seedNearest(writer: CatalogWriter, model: string, ends: readonly NearestEnd[], k: number): Promise<void> {
  await writer.loadNearest(model, nearestLoads(ends, k));
}

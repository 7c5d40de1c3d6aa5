import { setTimeout } from 'node:timers/promises';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { Rng } from '../../src/math/rng.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';

/**
 * A SubjectModel whose activation at (hook point, position, token) is a sum of a few planted directions chosen by a hash of
 * them, and whose runs finish in an order that `jitter` shuffles: something a real model cannot be told to do.
 */
export function hashModel({ D = 16, layers = 2, jitter = 0 }: { D?: number; layers?: number; jitter?: number } = {}): SubjectModel & { readonly mostAtOnce: () => number } {
  const planted = 24;
  const directions = new Map<string, Float32Array>();
  const direction = (hook: HookPoint): Float32Array => {
    let found = directions.get(hook);
    if (found === undefined) {
      const rng = Rng.derive(11, hook);
      found = Float32Array.from({ length: planted * D }, () => rng.normal());
      directions.set(hook, found);
    }
    return found;
  };
  let running = 0;
  let most = 0;
  const delays = new Rng(99);
  return {
    info: { name: 'hash', architecture: 'hash', layers, dModel: D, vocabSize: 512, contextLength: 64, parameters: 0, weightsHash: 'model-hash', tokenizerHash: 'tok' },
    concurrency: 2,
    mostAtOnce: () => most,
    async forward({ batch, taps }) {
      most = Math.max(most, ++running);
      const { rows, cols, ids } = batch;
      const out = new Map<HookPoint, Float32Array>();
      for (const hook of taps) {
        const f = direction(hook);
        const x = new Float32Array(rows * cols * D);
        for (let i = 0; i < rows * cols; i++) {
          const rng = Rng.derive(ids[i]!, hook, i % cols);
          for (let k = 0; k < 3; k++) {
            const j = rng.int(planted);
            const strength = 1 + rng.next();
            for (let d = 0; d < D; d++) x[i * D + d]! += strength * f[j * D + d]!;
          }
        }
        out.set(hook, x);
      }
      if (jitter > 0) await setTimeout(delays.next() * jitter);
      running--;
      return { taps: out, logits: null, codes: [] };
    },
    unembedding: () => Promise.resolve(new Float32Array(512 * D)),
    finalNorm: () => Promise.resolve({ gain: new Float32Array(D).fill(1), centres: false }),
    close: () => Promise.resolve(),
  };
}

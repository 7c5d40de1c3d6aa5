import { invariant } from '../domain/errors.ts';
import type { LanguageModel } from './architecture.ts';

/** Where each weight lies in one buffer of float32, shared by all spans and workers. Offsets and lengths in bytes. */
export interface WeightLayout {
  readonly byteLength: number;
  readonly entries: ReadonlyMap<string, { readonly dims: readonly number[]; readonly offset: number; readonly byteLength: number }>;
}

/** Cache lines and the widest vector registers are 64 bytes. */
const ALIGNMENT = 64;

/** Places the model's weights one after the other. Deterministic: main thread and workers compute the same layout. */
export function layOutWeights(model: LanguageModel): WeightLayout {
  const entries = new Map<string, { dims: readonly number[]; offset: number; byteLength: number }>();
  let offset = 0;
  for (const { name, dims } of model.weights) {
    invariant(!entries.has(name), `weight ${name} is declared twice`);
    const byteLength = 4 * dims.reduce((product, dim) => product * dim, 1);
    entries.set(name, { dims, offset, byteLength });
    offset += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
  }
  return { byteLength: offset, entries };
}

/** A view of one weight inside the buffer. */
export function weightView(layout: WeightLayout, buffer: ArrayBufferLike, name: string): Float32Array {
  const entry = layout.entries.get(name);
  invariant(entry !== undefined, `no weight ${name}`);
  return new Float32Array(buffer, entry.offset, entry.byteLength / 4);
}

import { invariant } from '../domain/errors.ts';
import type { CollectorState } from './featureCollector.ts';

/** Named float32 tensors, the only kind checkpoint files hold. */
export type FloatTensors = Map<string, { shape: readonly number[]; data: Float32Array }>;

const KINDS = { u: Uint32Array, s: Float32Array, d: Float64Array } as const;

/**
 * Collector states as float32 tensors, bit for bit: the bytes of integers and doubles are stored under a float32 label,
 * and the letter before the name says what they are. Nothing may compute with them on the way.
 */
export function stateToTensors(prefix: string, state: CollectorState, into: FloatTensors): void {
  for (const [name, data] of state) {
    const kind = data instanceof Uint32Array ? 'u' : data instanceof Float64Array ? 'd' : 's';
    const bytes = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer);
    into.set(`${prefix}/${kind}/${name}`, { shape: [bytes.length], data: bytes });
  }
}

/** Inverse of stateToTensors for one prefix. */
export function tensorsToState(prefix: string, tensors: FloatTensors): CollectorState {
  const state = new Map<string, Uint32Array | Float32Array | Float64Array>();
  for (const [key, { data }] of tensors) {
    if (!key.startsWith(`${prefix}/`)) continue;
    const [kind, name] = key.slice(prefix.length + 1).split('/');
    invariant(kind === 'u' || kind === 's' || kind === 'd', `checkpoint tensor ${key} is of no known kind`);
    // Copied, so that eight-byte numbers are aligned whatever the file's layout.
    const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
    state.set(name!, new KINDS[kind](bytes));
  }
  return state;
}

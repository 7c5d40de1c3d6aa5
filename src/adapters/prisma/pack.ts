import type { Exemplar, ExemplarKind, Histogram, Neighbour, TokenLogit } from '../../domain/feature.ts';
import { CallerError, invariant } from '../../domain/errors.ts';
import { shortFloat } from '../../math/shortFloat.ts';

/*
 * Packed columns, little-endian. Reals are float32, which is what the stages compute; a value that is not finite, or an
 * integer out of range, is refused.
 *   histogram   u16 edges, u16 counts, f32 × edges, u32 × counts
 *   pairs       (u32, f32) each: token logits (id, value), neighbours (index, cosine)
 *   windows     u8 format (1), then per window:
 *               u32 rank, u32 row, u32 start, f32 maximum, u16 T, u8 bytes per id (2 or 4), ids,
 *               ceil(T/8) bytes of a bit map of active tokens (lowest bit first), f32 per active token
 * They are read as the doubles that print shortest of those that round to them: half the text of an answer, written in half the time.
 * Activations are sparse: a window of 64 tokens with 5 active takes 175 bytes instead of 512.
 */

const WINDOWS_FORMAT = 1;
const WINDOW_HEAD = 19;
const U16 = 0xffff;
const U32 = 0xffff_ffff;

const KINDS: readonly ExemplarKind[] = ['top', 'quantile', 'random'];

/** Number an exemplar kind is stored as. */
export function kindCode(kind: ExemplarKind): number {
  return KINDS.indexOf(kind);
}

export function kindOf(code: number): ExemplarKind {
  const kind = KINDS[code];
  invariant(kind !== undefined, `exemplar kind ${code}`);
  return kind;
}

/** The value if it is a finite number that float32 can hold; otherwise says what it was. */
export function finite(value: number, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new CallerError('BAD_INPUT', `${what} is ${String(value)}: expected a finite number`);
  }
  return value;
}

/** The value if it is an integer in [0, max]. */
export function natural(value: number, max: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new CallerError('BAD_INPUT', `${what} is ${String(value)}: expected an integer from 0 to ${max}`);
  }
  return value;
}

function float(bytes: Buffer, value: number, at: number, what: string): number {
  if (!Number.isFinite(Math.fround(finite(value, what)))) {
    throw new CallerError('BAD_INPUT', `${what} is ${value}: expected a number that float32 can hold`);
  }
  return bytes.writeFloatLE(value, at);
}

export function packHistogram({ edges, counts }: Histogram): Buffer {
  const bytes = Buffer.allocUnsafe(4 + 4 * edges.length + 4 * counts.length);
  if (counts.length > 0 && edges.length !== counts.length + 1) {
    throw new CallerError('BAD_INPUT', `histogram has ${counts.length} counts and ${edges.length} edges: expected one more edge than counts`);
  }
  bytes.writeUInt16LE(natural(edges.length, U16, 'number of histogram edges'), 0);
  let at = bytes.writeUInt16LE(counts.length, 2);
  for (const edge of edges) at = float(bytes, edge, at, 'histogram edge');
  for (const count of counts) at = bytes.writeUInt32LE(natural(count, U32, 'histogram count'), at);
  return bytes;
}

export function unpackHistogram(bytes: Buffer): Histogram {
  const nEdges = bytes.readUInt16LE(0);
  const nCounts = bytes.readUInt16LE(2);
  const edges = Array.from({ length: nEdges }, (_, i) => shortFloat(bytes.readFloatLE(4 + 4 * i)));
  const counts = Array.from({ length: nCounts }, (_, i) => bytes.readUInt32LE(4 + 4 * nEdges + 4 * i));
  return { edges, counts };
}

export function packLogits(logits: readonly TokenLogit[]): Buffer {
  const bytes = Buffer.allocUnsafe(8 * logits.length);
  let at = 0;
  for (const { id, value } of logits) at = float(bytes, value, bytes.writeUInt32LE(natural(id, U32, 'token id'), at), 'token logit');
  return bytes;
}

export function unpackLogits(bytes: Buffer): TokenLogit[] {
  return Array.from({ length: bytes.length / 8 }, (_, i) => ({ id: bytes.readUInt32LE(8 * i), value: shortFloat(bytes.readFloatLE(8 * i + 4)) }));
}

export function packNeighbours(neighbours: readonly Neighbour[]): Buffer {
  const bytes = Buffer.allocUnsafe(8 * neighbours.length);
  let at = 0;
  for (const { index, cosine } of neighbours) at = float(bytes, cosine, bytes.writeUInt32LE(natural(index, U32, 'neighbour'), at), 'cosine');
  return bytes;
}

export function unpackNeighbours(bytes: Buffer): Neighbour[] {
  return Array.from({ length: bytes.length / 8 }, (_, i) => ({ index: bytes.readUInt32LE(8 * i), cosine: shortFloat(bytes.readFloatLE(8 * i + 4)) }));
}

/** Windows are packed here: a load packs millions, and as many buffers would keep the garbage collector busy. */
let scratch = Buffer.allocUnsafe(1 << 16);

/** Packs exemplars of one kind, in the order given. The bytes hold until the next call. */
export function packWindows(exemplars: readonly Exemplar[]): Buffer {
  let size = 1;
  for (const { ids } of exemplars) size += WINDOW_HEAD + 9 * ids.length + 1;
  if (scratch.length < size) scratch = Buffer.allocUnsafe(2 * size);
  const bytes = scratch;
  let at = bytes.writeUInt8(WINDOWS_FORMAT, 0);
  for (const exemplar of exemplars) {
    const { ids, activations } = exemplar;
    const length = natural(ids.length, U16, 'number of tokens of an exemplar');
    if (activations.length !== length) {
      throw new CallerError('BAD_INPUT', `exemplar has ${length} tokens and ${activations.length} activations: expected as many`);
    }
    at = bytes.writeUInt32LE(natural(exemplar.rank, U32, 'rank of an exemplar'), at);
    at = bytes.writeUInt32LE(natural(exemplar.row, U32, 'row of an exemplar'), at);
    at = bytes.writeUInt32LE(natural(exemplar.start, U32, 'start of an exemplar'), at);
    at = float(bytes, exemplar.maxActivation, at, 'maximum activation of an exemplar');
    at = bytes.writeUInt16LE(length, at);
    let all = 0;
    for (const id of ids) {
      // The quick test first: this is the innermost loop of a load.
      if (id >>> 0 !== id) natural(id, U32, 'token id');
      all |= id;
    }
    const wide = all >>> 0 > U16;
    at = bytes.writeUInt8(wide ? 4 : 2, at);
    for (const id of ids) {
      bytes[at++] = id;
      bytes[at++] = id >>> 8;
      if (!wide) continue;
      bytes[at++] = id >>> 16;
      bytes[at++] = id >>> 24;
    }
    const map = at;
    at += Math.ceil(length / 8);
    bytes.fill(0, map, at);
    for (let t = 0; t < length; t++) {
      const activation = activations[t]!;
      if (activation === 0) continue;
      at = float(bytes, activation, at, 'activation of an exemplar');
      bytes[map + (t >> 3)]! |= 1 << (t & 7);
    }
  }
  return bytes.subarray(0, at);
}

/** The first `limit` exemplars of a packed row of this kind. */
export function unpackWindows(bytes: Buffer, kind: ExemplarKind, limit: number): Exemplar[] {
  const format = bytes.readUInt8(0);
  invariant(format === WINDOWS_FORMAT, `exemplar format ${format}, expected ${WINDOWS_FORMAT}`);
  const exemplars: Exemplar[] = [];
  let at = 1;
  while (at < bytes.length && exemplars.length < limit) {
    const rank = bytes.readUInt32LE(at);
    const row = bytes.readUInt32LE(at + 4);
    const start = bytes.readUInt32LE(at + 8);
    const maxActivation = shortFloat(bytes.readFloatLE(at + 12));
    const length = bytes.readUInt16LE(at + 16);
    const wide = bytes.readUInt8(at + 18) === 4;
    at += WINDOW_HEAD;
    const ids: number[] = [];
    for (let t = 0; t < length; t++, at += wide ? 4 : 2) ids.push(wide ? bytes.readUInt32LE(at) : bytes.readUInt16LE(at));
    const map = at;
    at += Math.ceil(length / 8);
    const activations: number[] = [];
    for (let t = 0; t < length; t++) {
      const active = (bytes[map + (t >> 3)]! >> (t & 7)) & 1;
      activations.push(active === 1 ? shortFloat(bytes.readFloatLE(at)) : 0);
      at += 4 * active;
    }
    exemplars.push({ kind, rank, row, start, ids, activations, maxActivation });
  }
  return exemplars;
}

import { storedZip } from '../../../src/adapters/formats/zipWrite.ts';

/** Pieces of protocol-2 pickles, for files no honest program writes. Each puts one value on the stack. */
type Piece = Buffer;

const raw = (text: string): Piece => Buffer.from(text, 'latin1');

export const none = raw('N');
export const emptyDict = raw('}');

export function text(value: string): Piece {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([raw('X'), length, bytes]);
}

export function integer(value: number): Piece {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
}

export const bool = (value: boolean): Piece => raw(value ? '\x88' : '\x89');
export const global = (module: string, name: string): Piece => raw(`c${module}\n${name}\n`);
export const tuple = (...items: Piece[]): Piece => Buffer.concat([raw('('), ...items, raw('t')]);
export const list = (...items: Piece[]): Piece => Buffer.concat([raw(']('), ...items, raw('e')]);
/** Keys and values in turn. */
export const dict = (...pairs: Piece[]): Piece => Buffer.concat([raw('}('), ...pairs, raw('u')]);
export const call = (what: Piece, ...args: Piece[]): Piece => Buffer.concat([what, tuple(...args), raw('R')]);
export const instance = (what: Piece, state: Piece): Piece => Buffer.concat([what, raw(')\x81'), state, raw('b')]);
export const persistent = (id: Piece): Piece => Buffer.concat([id, raw('Q')]);
/** Any opcodes as they are. */
export const opcodes = raw;
export const pickle = (...pieces: Piece[]): Buffer => Buffer.concat([raw('\x80\x02'), ...pieces, raw('.')]);

export interface TensorPiece {
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
  readonly offset?: number;
  readonly key?: string;
  readonly storage?: string;
  readonly elements: number;
}

export function tensor({ shape, strides, offset = 0, key = '0', storage = 'FloatStorage', elements }: TensorPiece): Piece {
  const rowMajor = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  return call(
    global('torch._utils', '_rebuild_tensor_v2'),
    persistent(tuple(text('storage'), global('torch', storage), text(key), text('cpu'), integer(elements))),
    integer(offset), tuple(...shape.map(integer)), tuple(...(strides ?? rowMajor).map(integer)), bool(false), call(global('collections', 'OrderedDict')),
  );
}

/** The bytes of a .pt file with that pickle and those storages. */
export function torchFile(data: Buffer, storages: Readonly<Record<string, Uint8Array>> = {}, more: Readonly<Record<string, string>> = {}): Buffer {
  const files = new Map<string, Uint8Array>([['f/data.pkl', data]]);
  for (const [name, content] of Object.entries(more)) files.set(`f/${name}`, Buffer.from(content));
  for (const [key, bytes] of Object.entries(storages)) files.set(`f/data/${key}`, bytes);
  files.set('f/version', Buffer.from('3\n'));
  return Buffer.concat(storedZip(files));
}

export function floats(values: Iterable<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

import { invariant } from '../../domain/errors.ts';
import { writeForeignFile } from './foreignFiles.ts';
import { storedZip } from './zipWrite.ts';

/** A tensor to write: float32 numbers, or one whole number as torch.int32. */
export type WrittenTensor = { readonly shape: readonly number[]; readonly data: Float32Array } | { readonly int32: number };

/**
 * Writes a state_dict as torch.save(state_dict, path) does: a zip with a protocol-2 pickle of an OrderedDict of tensors and one
 * file per storage. torch.load reads it with weights_only=True. Equal input gives equal bytes.
 */
export async function writeTorchState(path: string, tensors: ReadonlyMap<string, WrittenTensor>): Promise<void> {
  const files = new Map<string, Uint8Array>();
  files.set('ae/data.pkl', pickleOf(tensors));
  files.set('ae/byteorder', Buffer.from('little'));
  let key = 0;
  for (const tensor of tensors.values()) files.set(`ae/data/${key++}`, bytesOf(tensor));
  files.set('ae/version', Buffer.from('3\n'));
  await writeForeignFile(path, storedZip(files));
}

function bytesOf(tensor: WrittenTensor): Uint8Array {
  if ('int32' in tensor) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(tensor.int32);
    return bytes;
  }
  const { shape, data } = tensor;
  invariant(shape.reduce((product, dim) => product * dim, 1) === data.length, `a tensor of shape [${shape.join(', ')}] has ${data.length} elements`);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Opcodes by their names in Python's pickletools. */
function pickleOf(tensors: ReadonlyMap<string, WrittenTensor>): Buffer {
  const parts: Buffer[] = [];
  const raw = (text: string): void => void parts.push(Buffer.from(text, 'latin1'));
  const global = (module: string, name: string): void => raw(`c${module}\n${name}\n`);
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    parts.push(Buffer.from('X'), length, bytes); // BINUNICODE
  };
  const integer = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    parts.push(Buffer.from('J'), bytes); // BININT
  };
  const integers = (values: readonly number[]): void => {
    raw('('); // MARK
    values.forEach(integer);
    raw('t'); // TUPLE
  };
  const orderedDict = (): void => {
    global('collections', 'OrderedDict');
    raw(')R'); // EMPTY_TUPLE REDUCE
  };
  raw('\x80\x02'); // PROTO 2
  orderedDict();
  raw('('); // MARK
  let key = 0;
  for (const [name, tensor] of tensors) {
    const shape = 'int32' in tensor ? [] : tensor.shape;
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1));
    text(name);
    global('torch._utils', '_rebuild_tensor_v2');
    raw('(('); // MARK MARK
    text('storage');
    global('torch', 'int32' in tensor ? 'IntStorage' : 'FloatStorage');
    text(String(key++));
    text('cpu');
    integer('int32' in tensor ? 1 : tensor.data.length);
    raw('tQ'); // TUPLE BINPERSID
    integer(0); // storage offset
    integers(shape);
    integers(strides);
    raw('\x89'); // NEWFALSE: requires_grad
    orderedDict(); // backward hooks
    raw('tR'); // TUPLE REDUCE
  }
  raw('u.'); // SETITEMS STOP
  return Buffer.concat(parts);
}

import { endianness } from 'node:os';
import { invariant } from '../../domain/errors.ts';
import { writeForeignFile } from './foreignFiles.ts';
import type { ForeignTensor } from './foreign.ts';

/** Writes float32 tensors as a safetensors file that PyTorch libraries read: tensors in the map's order, `format` "pt". */
export async function writeSafetensors(path: string, tensors: ReadonlyMap<string, ForeignTensor>): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let at = 0;
  for (const [name, { shape, data }] of tensors) {
    invariant(shape.reduce((product, size) => product * size, 1) === data.length, `tensor ${name} has shape [${shape.join(', ')}] and ${data.length} elements`);
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8); // data starts aligned
  const head = Buffer.alloc(8 + Buffer.byteLength(text));
  head.writeBigUInt64LE(BigInt(head.length - 8));
  head.write(text, 8);
  await writeForeignFile(path, [head, ...Array.from(tensors.values(), ({ data }) => littleEndian(data))]);
}

function littleEndian(data: Float32Array): Uint8Array {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}

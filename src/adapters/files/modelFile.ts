import type { TensorLocation } from '../../lm/safetensors.ts';
import { DTYPE_BYTES } from '../../lm/safetensors.ts';
import { invariant } from '../../domain/errors.ts';
import { writeFully, writeWholeFile } from './wholeFile.ts';

export interface StreamedTensor {
  readonly name: string;
  readonly dtype: TensorLocation['dtype'];
  readonly dims: readonly number[];
  /** Its numbers in row-major order, in pieces. */
  values(): AsyncIterable<Float32Array> | Iterable<Float32Array>;
}

/**
 * Writes a model's weights as one safetensors file, one piece of a tensor in memory at a time, each tensor rounded to its
 * type. The metadata say `format: pt`, which the Hugging Face loader asks for.
 */
export async function writeModelFile(path: string, tensors: readonly StreamedTensor[], metadata: Readonly<Record<string, string>>): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } };
  let offset = 0;
  for (const { name, dtype, dims } of tensors) {
    const bytes = dims.reduce((product, dim) => product * dim, DTYPE_BYTES[dtype]);
    header[name] = { dtype, shape: dims, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8);
  const head = Buffer.alloc(8 + Buffer.byteLength(text));
  head.writeBigUInt64LE(BigInt(head.length - 8), 0);
  head.write(text, 8);
  await writeWholeFile(path, async (file) => {
    await writeFully(file, head);
    for (const { name, dtype, dims, values } of tensors) {
      let left = dims.reduce((product, dim) => product * dim, 1);
      for await (const piece of values()) {
        await writeFully(file, encodeAs(dtype, piece));
        left -= piece.length;
      }
      invariant(left === 0, `tensor ${name} [${dims.join(', ')}] is ${left} numbers short`);
    }
  });
}

function encodeAs(dtype: TensorLocation['dtype'], values: Float32Array): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (dtype === 'F16') return new Uint8Array(Float16Array.from(values).buffer);
  const bits = new Uint32Array(values.slice().buffer);
  // Round to nearest, ties to even; NaN does not occur among drawn or stored weights that load.
  return new Uint8Array(Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16).buffer);
}

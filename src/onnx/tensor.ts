import { Message } from './wire.ts';

/** Element types the builder knows, as onnxruntime spells them. */
export type ElementType = 'float32' | 'float64' | 'int64' | 'int32' | 'bool' | 'uint8';

/** A dimension: a number, or a symbolic name such as 'B' that is only known when the graph runs. */
export type Dim = number | string;

/** Data of each element type. float32 takes a Float32Array; bool and uint8 take bytes. */
export interface TensorData {
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly int64: BigInt64Array;
  readonly int32: Int32Array;
  readonly bool: Uint8Array;
  readonly uint8: Uint8Array;
}

/** onnx.proto3, TensorProto.DataType. */
const TYPE_CODE: Readonly<Record<ElementType, number>> = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float64: 11 };

/** TensorProto with its values in raw_data (little-endian, row-major). `name` is left out for attribute tensors. */
export function tensorMessage<E extends ElementType>(
  type: E,
  dims: readonly number[],
  data: TensorData[E],
  name?: string,
): Message {
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (count !== data.length) {
    throw new Error(`bug: tensor ${name ?? ''} [${dims.join(', ')}] holds ${count} values, data has ${data.length}`);
  }
  const message = new Message();
  for (const dim of dims) message.int(1, dim);
  message.int(2, TYPE_CODE[type]);
  if (name !== undefined) message.text(8, name);
  return message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** TensorProto whose values live in a file (or a buffer given at session creation) named `location`. */
export function externalTensorMessage(
  type: ElementType,
  dims: readonly number[],
  name: string,
  at: { readonly location: string; readonly offset: number; readonly byteLength: number },
): Message {
  const message = new Message();
  for (const dim of dims) message.int(1, dim);
  message.int(2, TYPE_CODE[type]).text(8, name);
  const entries = { location: at.location, offset: String(at.offset), length: String(at.byteLength) };
  for (const [key, value] of Object.entries(entries)) message.message(13, new Message().text(1, key).text(2, value));
  return message.int(14, 1);
}

/** ValueInfoProto: name, element type and shape of a graph input or output; without `shape` the rank is unknown. */
export function valueInfoMessage(name: string, type: ElementType, shape: readonly Dim[] | undefined): Message {
  const tensorType = new Message().int(1, TYPE_CODE[type]);
  if (shape !== undefined) {
    const shapeMessage = new Message();
    for (const dim of shape) {
      shapeMessage.message(1, typeof dim === 'number' ? new Message().int(1, dim) : new Message().text(2, dim));
    }
    tensorType.message(2, shapeMessage);
  }
  return new Message().text(1, name).message(2, new Message().message(1, tensorType));
}

import { Message } from './wire.ts';
import { tensorMessage } from './tensor.ts';

/**
 * An operator's attribute. A bare number is an integer when whole; write `{ float: 1 }` where ONNX wants a float that
 * happens to be whole.
 */
export type Attribute =
  | number
  | string
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly tensor: Float32Array; readonly dims: readonly number[] }
  | Subgraph;

/** The body of If, Loop or Scan. */
export interface Subgraph {
  /** Its GraphProto. @param finalName final names of the values of the graph around it. */
  graph(finalName: (value: string) => string): Message;
  /** Values of the graph around it that it reads. */
  captures(): readonly string[];
}

export type Attributes = Readonly<Record<string, Attribute>>;

/** AttributeProto; the numbers are onnx.proto3's fields and AttributeProto.AttributeType. */
export function attributeMessage(name: string, value: Attribute, finalName: (value: string) => string = (same) => same): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'string') return message.text(4, value).int(20, 3);
  if (typeof value === 'number') {
    return Number.isInteger(value) ? message.int(3, value).int(20, 2) : message.float(2, value).int(20, 1);
  }
  if ('graph' in value) return message.message(6, value.graph(finalName)).int(20, 5);
  if ('float' in value) return message.float(2, value.float).int(20, 1);
  if ('floats' in value) {
    for (const item of value.floats) message.float(7, item);
    return message.int(20, 6);
  }
  if ('ints' in value) {
    for (const item of value.ints) message.int(8, item);
    return message.int(20, 7);
  }
  return message.message(5, tensorMessage('float32', value.dims, value.tensor)).int(20, 4);
}

import { Message } from './wire.ts';

/** One field of an encoded protocol-buffer message. */
export interface Field {
  readonly number: number;
  /** What a length-delimited field holds; empty for others. */
  readonly payload: Uint8Array;
  /** The whole field, tag included. */
  readonly encoded: Uint8Array;
}

/** Fields of an encoded message in order: wire types 0, 1, 2 and 5, which is all ONNX uses. */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new Error('bug: an encoded message ends inside a number');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    let payload = message.subarray(at, at);
    if (tag % 8 === 0) varint();
    else if (tag % 8 === 1) at += 8;
    else if (tag % 8 === 5) at += 4;
    else if (tag % 8 === 2) {
      const length = varint();
      payload = message.subarray(at, at + length);
      at += length;
    } else throw new Error(`bug: wire type ${tag % 8} in an encoded message`);
    yield { number: Math.floor(tag / 8), payload, encoded: message.subarray(start, at) };
  }
}

/** Fields of onnx.proto3: ModelProto.graph, GraphProto.input and .output, ValueInfoProto.name. */
const [GRAPH, INPUT, OUTPUT, NAME] = [7, 11, 12, 1];

/**
 * The graph of an encoded model as the body of a Loop or Scan, which takes inputs and outputs by position: only those named,
 * in the order named. Its own values keep their names.
 */
export function graphAsBody(model: Uint8Array, inputs: readonly string[], outputs: readonly string[]): Message {
  const graph = [...fieldsOf(model)].find((field) => field.number === GRAPH);
  if (graph === undefined) throw new Error('bug: an encoded model without a graph');
  const named = new Map<string, Uint8Array>();
  const body = new Message();
  for (const { number, payload, encoded } of fieldsOf(graph.payload)) {
    if (number !== INPUT && number !== OUTPUT) {
      body.encoded(encoded);
      continue;
    }
    const name = [...fieldsOf(payload)].find((field) => field.number === NAME);
    named.set(`${number} ${new TextDecoder().decode(name!.payload)}`, encoded);
  }
  const put = (number: number, name: string): void => {
    const encoded = named.get(`${number} ${name}`);
    if (encoded === undefined) throw new Error(`bug: the graph has no ${number === INPUT ? 'input' : 'output'} "${name}"`);
    body.encoded(encoded);
  };
  for (const name of inputs) put(INPUT, name);
  for (const name of outputs) put(OUTPUT, name);
  return body;
}

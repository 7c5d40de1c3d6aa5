/**
 * Protocol-buffer wire format, the few parts an ONNX model needs (encoding spec: protobuf.dev/programming-guides/encoding).
 * A message is kept as a list of chunks, so that a large tensor is copied once, when the whole model is joined.
 */
export class Message {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  /** Bytes this message encodes to. */
  get length(): number {
    return this.#length;
  }

  #push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Field of wire type 0. Negative numbers are encoded as 64-bit two's complement, as int64 asks. */
  int(field: number, value: number | bigint): this {
    this.#push(varint(field << 3));
    this.#push(varint(value));
    return this;
  }

  /** Field of wire type 5, a 32-bit float. */
  float(field: number, value: number): this {
    this.#push(varint((field << 3) | 5));
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#push(bytes);
    return this;
  }

  /** Field of wire type 2 holding bytes; they are referenced, not copied, until `join`. */
  bytes(field: number, value: Uint8Array): this {
    this.#push(varint((field << 3) | 2));
    this.#push(varint(value.length));
    this.#push(value);
    return this;
  }

  /** Field of wire type 2 holding UTF-8 text. */
  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  /** Field of wire type 2 holding another message. */
  message(field: number, value: Message): this {
    this.#push(varint((field << 3) | 2));
    this.#push(varint(value.length));
    for (const chunk of value.#chunks) this.#push(chunk);
    return this;
  }

  /** Fields that are encoded already. */
  encoded(fields: Uint8Array): this {
    this.#push(fields);
    return this;
  }

  /** The encoded message as one array. */
  join(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }
}

function varint(value: number | bigint): Uint8Array {
  if (typeof value === 'number' && value >= 0 && value < 128) return Uint8Array.of(value);
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

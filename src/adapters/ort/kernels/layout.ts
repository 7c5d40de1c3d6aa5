/** Addresses start here: 0 means "none". */
const FIRST = 64;
/** A cache line. */
const ALIGNMENT = 64;

/** Names and byte addresses of the regions of a shared memory; whoever makes the same calls gets the same addresses. */
export class Layout {
  #end = FIRST;

  /** Address of `count` elements of `bytes` each. */
  take(count: number, bytes = 4): number {
    const at = this.#end;
    this.#end = Math.ceil((at + count * bytes) / ALIGNMENT) * ALIGNMENT;
    return at;
  }

  /** Lays regions that are never in use together over each other: each function takes its own from the same address on. */
  overlay<A, B>(first: () => A, second: () => B): [A, B] {
    const start = this.#end;
    const a = first();
    const end = this.#end;
    this.#end = start;
    const b = second();
    this.#end = Math.max(end, this.#end);
    return [a, b];
  }

  /** Bytes of everything taken. */
  get bytes(): number {
    return this.#end;
  }
}

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

  /** Bytes of everything taken. */
  get bytes(): number {
    return this.#end;
  }
}

import { createReadStream } from 'node:fs';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Bytes without the newline. */
  readonly bytes: Buffer;
  /** False only for a last line that no newline ends. */
  readonly ended: boolean;
}

/** The lines of a file as bytes, in bounded memory (one line and one read buffer). Read errors are Node's own. */
export async function* fileLines(path: string): AsyncGenerator<Line, void, undefined> {
  let held: Buffer[] = [];
  let number = 0;
  for await (const read of createReadStream(path, { highWaterMark: 1 << 18 })) {
    const chunk = read as Buffer;
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const piece = chunk.subarray(start, end);
      const bytes = held.length === 0 ? piece : Buffer.concat([...held, piece]);
      held = [];
      start = end + 1;
      yield { number: ++number, bytes, ended: true };
    }
    if (start < chunk.length) held.push(chunk.subarray(start));
  }
  if (held.length > 0) yield { number: ++number, bytes: Buffer.concat(held), ended: false };
}

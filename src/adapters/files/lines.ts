import { createReadStream } from 'node:fs';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Bytes without the newline. */
  readonly bytes: Buffer;
  /** False only for a last line that no newline ends. */
  readonly ended: boolean;
}

/**
 * The lines of a file as bytes, in bounded memory (one line and one read buffer). Throws NOT_FOUND when there is no such
 * file, OutsideError when it cannot be read.
 */
export async function* fileLines(path: string): AsyncGenerator<Line, void, undefined> {
  let held: Buffer[] = [];
  let number = 0;
  for await (const chunk of fileChunks(path)) {
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

/** The bytes of a file in pieces of 256 KiB. Errors as fileLines. */
export async function* fileChunks(path: string): AsyncGenerator<Buffer, void, undefined> {
  const stream = createReadStream(path, { highWaterMark: 1 << 18 })[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const { done, value } = await stream.next().catch((cause: unknown) => {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new CallerError('NOT_FOUND', `${path} does not exist`, { cause });
        throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
      });
      if (done === true) return;
      yield value;
    }
  } finally {
    await stream.return?.();
  }
}

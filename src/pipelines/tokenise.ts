import { CallerError, invariant } from '../domain/errors.ts';
import type { Progress } from '../ports/Progress.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

export interface TokeniseOptions {
  /** Tokens of a row, at least 2. */
  readonly cols: number;
  /** Stop when the rows hold so many tokens (rounded down to whole rows); null = the whole text. */
  readonly maxTokens: number | null;
}

export interface TokeniseInput {
  readonly documents: AsyncIterable<string> | Iterable<string>;
  readonly tokenizer: Tokenizer;
}

/** Rows handed on at a time. */
const ROWS_PER_CHUNK = 64;

/**
 * Rows of exactly `cols` tokens, as the paper cuts its text: documents are joined by the separator (the tokenizer's EOS, else
 * its BOS, else nothing), the stream is cut into pieces, and every row begins with the separator, so that position 0 is the
 * same token everywhere. Tokens that do not fill a row at the end are dropped. Streams: holds one document and a few rows.
 *
 * Yields chunks of whole rows, row-major. Deterministic. Throws BAD_INPUT when the text does not fill one row.
 */
export async function* tokeniseRows({ documents, tokenizer }: TokeniseInput, { cols, maxTokens }: TokeniseOptions, progress?: Progress): AsyncGenerator<Int32Array, void, undefined> {
  invariant(Number.isSafeInteger(cols) && cols >= 2, `rows of ${cols} tokens`);
  const separator = tokenizer.eosId ?? tokenizer.bosId;
  const rowLimit = maxTokens === null ? Infinity : Math.floor(maxTokens / cols);
  if (rowLimit < 1) throw new CallerError('BAD_INPUT', `a limit of ${maxTokens} tokens is less than one row of ${cols}`);
  const task = progress?.start('tokenise', maxTokens === null ? 0 : rowLimit * cols, 'tokens');
  let chunk = new Int32Array(ROWS_PER_CHUNK * cols);
  let filled = 0;
  let rows = 0;
  let last = -1;
  const put = (id: number): void => {
    if (filled % cols === 0 && separator !== null) {
      chunk[filled++] = separator;
      if (id === separator) return; // a document that ends where a row does
    }
    chunk[filled++] = id;
  };
  reading: for await (const document of documents) {
    const ids = tokenizer.encode(document);
    const length = ids.length + (separator === null ? 0 : 1);
    for (let i = 0; i < length; i++) {
      put(i < ids.length ? ids[i]! : separator!);
      if (filled < chunk.length && rows + filled / cols < rowLimit) continue;
      if (filled % cols !== 0) continue;
      rows += filled / cols;
      yield chunk.slice(0, filled);
      chunk = new Int32Array(chunk.length);
      filled = 0;
      if (rows >= rowLimit) break reading;
    }
    if (rows !== last) task?.update(rows * cols);
    last = rows;
  }
  const whole = Math.floor(filled / cols);
  if (whole > 0) yield chunk.slice(0, whole * cols);
  rows += whole;
  if (rows === 0) throw new CallerError('BAD_INPUT', `the text has ${filled} tokens, less than one row of ${cols}; give more text or shorter rows`);
  task?.finish(`${rows} rows`);
}

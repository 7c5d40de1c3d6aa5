import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { CallerError, messageOf } from '../../domain/errors.ts';
import { fileChunks, fileLines } from './lines.ts';

/** A text file is one document up to about this many characters; a longer one is cut at a blank line (see below). */
const DOCUMENT_CHARS = 1 << 20;

/**
 * Documents of a user's file, streamed in bounded memory:
 *  - `.jsonl` / `.ndjson`: one JSON object a line, the document in its string field `text`; blank lines are skipped;
 *  - anything else is UTF-8 text: one document, or, beyond 2²⁰ characters, documents of about that size cut at the last
 *    blank line (else line end, else character) before it.
 * Throws NOT_FOUND (no such file) or BAD_INPUT (a folder, empty, not UTF-8, a line without `text`).
 */
export async function* readTextFile(path: string): AsyncGenerator<string, void, undefined> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new CallerError('NOT_FOUND', `text file ${path} cannot be read: ${messageOf(cause)}`, { cause });
  });
  if (found.isDirectory()) throw new CallerError('BAD_INPUT', `${path} is a folder; expected a .txt file, or a .jsonl file with a string field "text" on each line`);
  const extension = extname(path).toLowerCase();
  const documents = extension === '.jsonl' || extension === '.ndjson' ? jsonLines(path) : plainText(path);
  let any = false;
  for await (const document of documents) {
    if (document.trim() === '') continue;
    any = true;
    yield document;
  }
  if (!any) throw new CallerError('BAD_INPUT', `text file ${path} holds no text`);
}

async function* jsonLines(path: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const { bytes, number } of fileLines(path)) {
    let value: unknown;
    try {
      const line = decoder.decode(bytes).trim();
      if (line === '') continue;
      value = JSON.parse(line);
    } catch (cause) {
      throw new CallerError('BAD_INPUT', `${path}, line ${number}: expected one JSON object in UTF-8, found ${describe(cause)}`, { cause });
    }
    const text = typeof value === 'object' && value !== null ? (value as { text?: unknown }).text : undefined;
    if (typeof text !== 'string') throw new CallerError('BAD_INPUT', `${path}, line ${number}: expected an object with a string field "text"`);
    yield text;
  }
}

async function* plainText(path: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let held = '';
  let read = 0;
  const decode = (bytes?: Buffer): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch (cause) {
      throw new CallerError('BAD_INPUT', `${path} is not UTF-8 text (near byte ${read}); convert it to UTF-8 first`, { cause });
    }
  };
  for await (const chunk of fileChunks(path)) {
    held += decode(chunk);
    read += chunk.length;
    while (held.length > DOCUMENT_CHARS) {
      const cut = cutPlace(held);
      yield held.slice(0, cut);
      held = held.slice(cut);
    }
  }
  held += decode();
  yield held;
}

/** Where to end a document within the first DOCUMENT_CHARS characters. */
function cutPlace(text: string): number {
  const blank = text.lastIndexOf('\n\n', DOCUMENT_CHARS - 2);
  if (blank > DOCUMENT_CHARS / 2) return blank + 2;
  const line = text.lastIndexOf('\n', DOCUMENT_CHARS - 1);
  if (line > DOCUMENT_CHARS / 2) return line + 1;
  const code = text.charCodeAt(DOCUMENT_CHARS);
  return code >= 0xdc00 && code < 0xe000 ? DOCUMENT_CHARS - 1 : DOCUMENT_CHARS; // never inside a surrogate pair
}

function describe(cause: unknown): string {
  return cause instanceof TypeError ? 'bytes that are not UTF-8' : `text that is none (${messageOf(cause)})`;
}

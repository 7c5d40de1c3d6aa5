import type { Tokenizer } from '../ports/Tokenizer.ts';

/**
 * Where each token begins in the text that the tokens spell, in UTF-16 units. Tokens are decoded behind the few before them,
 * since some decoders treat a text's first token unlike others; parts of one character all begin where it does.
 */
export function tokenOffsets(tokenizer: Pick<Tokenizer, 'decode'>, ids: Int32Array): { readonly text: string; readonly offsets: readonly number[] } {
  const offsets: number[] = [];
  let text = '';
  /** Tokens [context, read) are spelled already; those after it not yet. */
  let context = 0;
  let read = 0;
  for (let i = 0; i < ids.length; i++) {
    offsets.push(text.length);
    const before = tokenizer.decode(ids.subarray(context, read));
    const after = tokenizer.decode(ids.subarray(context, i + 1));
    // A replacement character at the end: bytes that the next token may complete.
    const broken = after.endsWith('\ufffd') && i + 1 < ids.length;
    if (broken || after.length < before.length) continue;
    text += after.slice(before.length);
    // A token that is whole by itself ended a run of broken ones instead of completing it.
    const own = read < i ? tokenizer.decode(ids.subarray(i, i + 1)) : '';
    if (own !== '' && !own.includes('\ufffd') && text.endsWith(own)) offsets[i] = text.length - own.length;
    context = read;
    read = i + 1;
  }
  return { text, offsets };
}

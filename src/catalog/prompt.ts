import { CallerError } from '../domain/errors.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

/** The id every document starts with: BOS where the tokenizer has one, else EOS, which separates documents in training; null when there is neither. */
export function documentStart(tokenizer: Tokenizer): number | null {
  return tokenizer.bosId ?? tokenizer.eosId;
}

/**
 * Ids of a prompt as the model reads it: the document-start token first, then the text's own tokens, nothing else added.
 * Models are trained on rows that begin so, and the first position behaves unlike any other, so leaving it out would put the
 * text's first token there. Position 0 of every result is therefore that token.
 *
 * Throws BAD_INPUT when the text has no tokens, TEXT_TOO_LONG when they do not fit the context; both name `field`.
 */
export function promptIds(tokenizer: Tokenizer, contextLength: number, text: string, field: string): Int32Array {
  const own = text.length === 0 ? new Int32Array(0) : tokenizer.encode(text);
  if (own.length === 0) throw new CallerError('BAD_INPUT', `${field} has no tokens: expected some text`, { field: [field] });
  const start = documentStart(tokenizer);
  const ids = start === null ? own : Int32Array.of(start, ...own);
  if (ids.length > contextLength) {
    throw new CallerError(
      'TEXT_TOO_LONG',
      `${field} has ${own.length} tokens${start === null ? '' : ' and one that starts the document'}: the model reads at most ${contextLength}; shorten the text`,
      { field: [field] },
    );
  }
  return ids;
}

/** The token ids as display texts. */
export function tokenTexts(tokenizer: Tokenizer, ids: ArrayLike<number>): string[] {
  return Array.from(ids, (id) => tokenizer.token(id));
}

import { CallerError } from '../domain/errors.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

/** Pieces of a text shown in a message. */
const SHOWN = 8;

/**
 * The id of a text that is one token. Throws BAD_INPUT where it is none, or several: then it says which, and whether the text
 * with (or without) a space before it is one.
 */
export function tokenNamed(tokenizer: Tokenizer, name: string, field: readonly string[]): number {
  const bad = (message: string): CallerError => new CallerError('BAD_INPUT', message, { field });
  if (name === '') throw bad('a token is named by its text: expected some text, found none');
  const ids = tokenizer.encode(name);
  if (ids.length === 1 && isWhole(tokenizer, name, ids[0])) return ids[0];
  const shown = JSON.stringify(name);
  const other = name.startsWith(' ') ? name.trimStart() : ` ${name}`;
  const found = other === '' ? new Int32Array(0) : tokenizer.encode(other);
  const hint = found.length === 1 && isWhole(tokenizer, other, found[0]) ? `: ${JSON.stringify(other)} is one; did you mean that?` : ': choose a text that is one token';
  if (ids.length === 1) throw bad(`${shown} is no token of this model, it is read as ${JSON.stringify(tokenizer.token(ids[0]))}${hint}`);
  const pieces = Array.from(ids.subarray(0, SHOWN), (id) => JSON.stringify(tokenizer.token(id))).join(', ');
  throw bad(`${shown} is ${ids.length} tokens (${pieces}${ids.length > SHOWN ? ', …' : ''})${hint}`);
}

/** False for a token that stands for text the vocabulary lacks. */
function isWhole(tokenizer: Tokenizer, name: string, id: number): boolean {
  return tokenizer.token(id).trim() === name.trim();
}

import { CallerError, messageOf } from '../domain/errors.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { boundedMatches } from './boundedMatches.ts';
import { tokenOffsets } from './tokenOffsets.ts';

/**
 * What tokens are looked for: some tokens, spelt exactly; or a regular expression (JavaScript, unicode), over each token's own
 * text, or over the running text, where the token is meant that holds the last character of a match.
 */
export type PatternChoice =
  | { readonly kind: 'tokens'; readonly tokens: readonly string[] }
  | { readonly kind: 'regex'; readonly source: string; readonly over: 'token' | 'text' };

export interface TokenPattern {
  /** In words, for tables. */
  readonly label: string;
  /** 1 for each token of the row that is meant. */
  mask(row: Int32Array): Uint8Array;
}

/** Tokens of the vocabulary looked at together. */
const LOOKED_AT = 4096;

type Texts = Pick<Tokenizer, 'size' | 'token' | 'encode' | 'decode' | 'eosId' | 'bosId'>;

/**
 * Makes a pattern ready to be looked for. Regular expressions never match document separators, nor across them; over running
 * text, matches do not overlap and empty ones count for nothing. Cost: one look at each token of the vocabulary, or over running text
 * two decodings of a few tokens for each token read.
 *
 * @throws BAD_INPUT for an expression that is none or that takes too long (boundedMatches), and for a token the vocabulary does not have.
 */
export function compilePattern(choice: PatternChoice, tokenizer: Texts): TokenPattern {
  if (choice.kind === 'tokens') return vocabularyPattern(`the tokens ${choice.tokens.map((text) => JSON.stringify(text)).join(', ')}`, exactly(choice.tokens, tokenizer));
  const { source, over } = choice;
  const regex = compile(source);
  const separators = new Set([tokenizer.eosId, tokenizer.bosId]);
  if (over === 'text') return { label: `the last token of a match of /${source}/ in the text`, mask: (row) => lastTokensOfMatches(regex, row, separators, tokenizer) };
  const meant = new Uint8Array(tokenizer.size);
  for (let first = 0; first < meant.length; first += LOOKED_AT) {
    const texts = Array.from({ length: Math.min(LOOKED_AT, meant.length - first) }, (_, i) => tokenizer.token(first + i));
    for (const [i, matches] of boundedMatches(regex, texts).entries()) if (matches.length > 0 && !separators.has(first + i)) meant[first + i] = 1;
  }
  if (!meant.includes(1)) throw new CallerError('BAD_INPUT', `no token of this model matches /${source}/: look for it in running text with --over text`, { field: ['pattern'] });
  return vocabularyPattern(`tokens that match /${source}/`, meant);
}

function compile(source: string): RegExp {
  if (source === '') throw new CallerError('BAD_INPUT', 'the pattern is empty: expected a regular expression', { field: ['pattern'] });
  try {
    return new RegExp(source, 'gu');
  } catch (cause) {
    throw new CallerError('BAD_INPUT', `/${source}/ is no regular expression: ${messageOf(cause)}`, { cause, field: ['pattern'] });
  }
}

function vocabularyPattern(label: string, meant: Uint8Array): TokenPattern {
  return { label, mask: (row) => Uint8Array.from(row, (id) => meant[id] ?? 0) };
}

/** Vocabulary mask of the tokens that look exactly so. */
function exactly(tokens: readonly string[], tokenizer: Texts): Uint8Array {
  if (tokens.length === 0) throw new CallerError('BAD_INPUT', 'no tokens to look for: expected at least one', { field: ['tokens'] });
  const byText = new Map<string, number[]>();
  for (let id = 0; id < tokenizer.size; id++) {
    const text = tokenizer.token(id);
    const ids = byText.get(text);
    if (ids === undefined) byText.set(text, [id]);
    else ids.push(id);
  }
  const meant = new Uint8Array(tokenizer.size);
  for (const text of tokens) {
    const ids = text === '' ? undefined : byText.get(text);
    if (ids === undefined) {
      const parts = tokenizer.encode(text).length;
      const other = [` ${text}`, text.trimStart()].filter((near) => near !== text && near !== '' && byText.has(near)).map((near) => JSON.stringify(near));
      const hint = other.length > 0 ? `the model has ${other.join(' and ')}` : `this model spells it with ${parts} tokens; look for it with --pattern … --over text`;
      throw new CallerError('BAD_INPUT', `${JSON.stringify(text)} is no single token of this model: ${hint}`, { field: ['tokens'] });
    }
    for (const id of ids) meant[id] = 1;
  }
  return meant;
}

function lastTokensOfMatches(regex: RegExp, row: Int32Array, separators: ReadonlySet<number | null>, tokenizer: Texts): Uint8Array {
  const mask = new Uint8Array(row.length);
  for (let from = 0; from < row.length; from++) {
    if (separators.has(row[from])) continue;
    let to = from;
    while (to < row.length && !separators.has(row[to])) to++;
    const { text, offsets } = tokenOffsets(tokenizer, row.subarray(from, to));
    let token = 0;
    for (const [begin, end] of boundedMatches(regex, [text])[0]) {
      if (begin === end) continue;
      const last = end - 1;
      while (token + 1 < offsets.length && offsets[token + 1] <= last) token++;
      mask[from + token] = 1;
    }
    from = to;
  }
  return mask;
}

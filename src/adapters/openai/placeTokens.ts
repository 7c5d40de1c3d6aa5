/** A token as servers give it: some say its bytes, too. */
export interface GivenToken {
  readonly token: string;
  readonly bytes?: readonly number[] | null | undefined;
}

/** How hosted servers write tokens of legacy completions that are no whole characters: `bytes:\xe2\x80`. */
const BYTES = 'bytes:';

/**
 * Where tokens begin in the text they spell (UTF-16 units), found by walking along the text: servers count offsets in code points,
 * or in token texts that stand for pieces of characters. A token that begins inside a character is placed at the character; one
 * that is not in the text (a mark of the text's beginning) has no width.
 * @returns offsets and where the walk ended: `text.length` when the tokens spell the text.
 */
export function placeTokens(tokens: readonly GivenToken[], text: string): { readonly offsets: readonly number[]; readonly end: number } {
  const pieces = tokens.map(bytesOf);
  if (tokens.some(saysBytes) && pieces.every((piece) => piece !== null)) return placeBytes(pieces, text);
  const offsets: number[] = [];
  let at = 0;
  while (offsets.length < tokens.length) {
    const { token } = tokens[offsets.length];
    const found = spelling(token, text, at);
    offsets.push(at);
    if (found !== null) at += found.length;
    else if (isBroken(token)) {
      // A run of pieces of characters ends where the next whole token is found again.
      let run = 1;
      for (; offsets.length < tokens.length && isBroken(tokens[offsets.length].token); run++) offsets.push(at);
      at = offsets.length === tokens.length ? text.length : resume(tokens[offsets.length].token, text, at, run);
    }
  }
  return { offsets, end: at };
}

/** With bytes there is nothing to guess. */
function placeBytes(pieces: readonly Uint8Array[], text: string): { offsets: number[]; end: number } {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const offsets: number[] = [];
  let at = 0;
  for (const piece of pieces) {
    offsets.push(at);
    const decoded = decoder.decode(piece, { stream: true });
    if (text.startsWith(decoded, at)) at += decoded.length; // a special token is not in the text
  }
  return { offsets, end: at };
}

function saysBytes({ token, bytes }: GivenToken): boolean {
  return Array.isArray(bytes) || token.startsWith(BYTES);
}

/** Null for a token of which only the mark of what is missing is known. */
function bytesOf({ token, bytes }: GivenToken): Uint8Array | null {
  if (Array.isArray(bytes)) return Uint8Array.from(bytes as readonly number[]);
  if (token.startsWith(BYTES)) {
    const pieces = token.slice(BYTES.length).split(/\\x([0-9a-f]{2})/i); // texts at even places, bytes between them
    return Buffer.concat(pieces.map((piece, i) => Buffer.from(piece, i % 2 === 0 ? 'utf8' : 'hex')));
  }
  return isBroken(token) ? null : Buffer.from(token);
}

/** The token as it stands in the text at a place, also where a server shows a space as tokenizers write it; null when it is not there. */
function spelling(token: string, text: string, at: number): string | null {
  for (const form of [token, token.replaceAll(/[▁Ġ]/g, ' ').replaceAll('Ċ', '\n')]) if (text.startsWith(form, at)) return form;
  return null;
}

/** Holds the mark that stands for bytes that are no whole character. */
function isBroken(token: string): boolean {
  return token.includes('\uFFFD') || token.startsWith(BYTES);
}

/** First place of a token behind `at`, near enough for `pieces` pieces of characters to lie between. */
function resume(token: string, text: string, at: number, pieces: number): number {
  const found = text.slice(at, at + 4 * pieces + token.length).indexOf(token, 1);
  return found < 0 ? at : at + found;
}

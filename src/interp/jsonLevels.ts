import { TOP_LEVEL } from './discretise.ts';
import { levelOf } from './expectedLevel.ts';
import type { ReadPiece } from './expectedActivations.ts';
import { withoutThoughts } from './prompts/replyText.ts';

/** Levels of a reply, or why they cannot be used (without numbers, so that reasons can be counted). */
export type Levels = { readonly value: Float32Array } | { readonly bad: string };

/** One token in so many may come back changed (judges mend odd characters); more means that levels sit on wrong tokens. */
const TOKENS_PER_CHANGE = 16;

/**
 * Reads a reply to src/interp/prompts/simulateJson.ts: `{"levels":[{"token","level"}, …]}`, with or without a fence or words around
 * it. Lenient about form (a bare array, a level in quotes), strict about meaning: as many entries as tokens, in their order, whole
 * levels from 0 to 10. Where the reply's tokens came with alternatives, the value is the expected level in the place of each
 * number; else the number. @returns values 0 to 10, one per token.
 */
export function jsonLevels(text: string, tokens: readonly string[], pieces: readonly ReadPiece[] | null): Levels {
  const reply = withoutThoughts(text);
  const entries = entriesOf(reply);
  if ('bad' in entries) return entries;
  if (entries.value.length !== tokens.length) return { bad: entries.value.length < tokens.length ? 'fewer levels than tokens' : 'more levels than tokens' };
  const levels = new Float32Array(tokens.length);
  let changed = 0;
  for (let i = 0; i < tokens.length; i++) {
    const entry: unknown = entries.value[i];
    if (typeof entry !== 'object' || entry === null || !('token' in entry) || !('level' in entry)) return { bad: 'an entry without token and level' };
    const level = wholeLevel(entry.level);
    if (level === null) return { bad: 'a level that is no whole number from zero to ten' };
    levels[i] = level;
    if (typeof entry.token !== 'string' || bare(entry.token) !== bare(tokens[i])) changed++;
  }
  if (changed * TOKENS_PER_CHANGE > tokens.length) return { bad: 'levels of other tokens than those asked about' };
  return { value: pieces === null ? levels : expected(reply, levels, pieces) };
}

function entriesOf(reply: string): { readonly value: readonly unknown[] } | { readonly bad: string } {
  const from = reply.search(/[[{]/);
  const to = Math.max(reply.lastIndexOf('}'), reply.lastIndexOf(']'));
  if (from < 0) return { bad: 'no JSON' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(reply.slice(from, to + 1));
  } catch {
    return { bad: 'JSON that is cut off or broken' };
  }
  const list = typeof parsed === 'object' && parsed !== null && 'levels' in parsed ? parsed.levels : parsed;
  return Array.isArray(list) ? { value: list } : { bad: 'JSON without a list of levels' };
}

function wholeLevel(value: unknown): number | null {
  const level = typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : value;
  return typeof level === 'number' && Number.isInteger(level) && level >= 0 && level <= TOP_LEVEL ? level : null;
}

/** A token without what judges change harmlessly: blanks, and backslashes of escapes. */
function bare(token: string): string {
  return token.replaceAll(/[\s\\]/g, '');
}

/** Expected levels at the numbers of the reply; the written level where a number cannot be found among the tokens. */
function expected(reply: string, written: Float32Array, pieces: readonly ReadPiece[]): Float32Array {
  // A quote inside a JSON string is escaped, so `"level":` is always a key.
  const numbers = [...reply.matchAll(/"level"\s*:\s*"?(\d+)/g)];
  if (numbers.length !== written.length) return written;
  let at = 0;
  return written.map((level, i) => {
    const place = numbers[i].index + numbers[i][0].length - numbers[i][1].length;
    while (at + 1 < pieces.length && pieces[at + 1].offset <= place) at++;
    const piece = pieces[at];
    if (piece === undefined || piece.offset > place || piece.offset + piece.text.length <= place) return level;
    const prefix = reply.slice(piece.offset, place);
    let weight = 0;
    let sum = 0;
    for (const { text, logprob } of piece.top) {
      const number = levelOf(text, prefix, TOP_LEVEL);
      if (number === null) continue;
      // A tokenizer that parts "10" writes its first digit here: the token that was written stands for the whole number.
      const p = Math.exp(logprob);
      weight += p;
      sum += p * (text === piece.text ? level : number);
    }
    return weight > 0 ? sum / weight : level;
  });
}

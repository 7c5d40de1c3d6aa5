import { shownText } from './shownText.ts';

/** What a prompt shows of one token. */
export interface ShownToken {
  /** Written by shownText; with its leading space. */
  readonly text: string;
  /** 0 to 10. */
  readonly level: number;
}

/** How ids become text. */
export interface TokenWording {
  token(id: number): string;
  decode(ids: ArrayLike<number>): string;
  /** Ids that stand between documents. */
  readonly separators: ReadonlySet<number>;
}

const SEPARATOR = '\\{new document}';
const NOTHING = '\\{nothing}';
const UNDECODABLE = '\uFFFD';
/** Most tokens that make one character: the bytes of a UTF-8 sequence. */
const LONGEST_CHARACTER = 4;

/** True when all the ids together are not valid text (the paper leaves such fragments out). */
export function undecodable(ids: ArrayLike<number>, wording: TokenWording): boolean {
  return wording.decode(ids).includes(UNDECODABLE);
}

/**
 * A fragment as a prompt shows it. Tokens that are a whole character only together are shown as one, with the highest of their
 * levels; all others one by one. `ids` and `levels` have one length; so has the result unless characters were joined.
 */
export function showFragment(ids: readonly number[], levels: ArrayLike<number>, wording: TokenWording): ShownToken[] {
  const texts = ids.map((id) => wording.token(id));
  // The usual case: the texts of the tokens are the text of the fragment.
  const plain = wording.decode(ids) === texts.join('') && !texts.some((text) => text.includes(UNDECODABLE));
  if (plain) return ids.map((id, t) => ({ text: shownAs(wording.separators.has(id), texts[t]), level: levels[t] }));
  const shown: ShownToken[] = [];
  for (let t = 0; t < ids.length; ) {
    const n = characterLength(ids, t, wording);
    let level = 0;
    for (let i = t; i < t + n; i++) level = Math.max(level, levels[i]);
    shown.push({ text: shownToken(ids.slice(t, t + n), ids[t - 1], wording), level });
    t += n;
  }
  return shown;
}

/** Tokens from t on that must be read together: 1, or as many as make whole characters of broken ones. */
function characterLength(ids: readonly number[], t: number, wording: TokenWording): number {
  if (!wording.token(ids[t]).includes(UNDECODABLE)) return 1;
  for (let n = 2; n <= LONGEST_CHARACTER && t + n <= ids.length; n++) {
    if (!wording.decode(ids.slice(t, t + n)).includes(UNDECODABLE)) return n;
  }
  return 1;
}

function shownToken(ids: readonly number[], before: number | undefined, wording: TokenWording): string {
  const separates = ids.length === 1 && wording.separators.has(ids[0]);
  return shownAs(separates, separates ? '' : textAfter(ids, before, wording));
}

function shownAs(separates: boolean, text: string): string {
  if (separates) return SEPARATOR;
  return text === '' ? NOTHING : shownText(text);
}

/**
 * Text of tokens in their place: what they add to the token before. Read alone, a token of a SentencePiece vocabulary loses the
 * space that begins it.
 */
function textAfter(ids: readonly number[], before: number | undefined, wording: TokenWording): string {
  const alone = ids.length === 1 ? wording.token(ids[0]) : wording.decode(ids);
  if (before === undefined || wording.separators.has(before)) return alone;
  const first = wording.token(before);
  const both = wording.decode([before, ...ids]);
  return !first.includes(UNDECODABLE) && both.startsWith(first) && both.endsWith(alone) ? both.slice(first.length) : alone;
}

import { ioiPair, type IoiPair } from '../corpus/ioiPair.ts';
import { CallerError } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

/** A pair of prompts as a model reads them: of one length, different at one place, the indirect object's name. */
export interface TokenisedPair extends IoiPair {
  readonly baseIds: Int32Array;
  readonly counterfactualIds: Int32Array;
  /** Tokens of the names that may follow: the base's indirect object, the counterfactual's, and the subject. */
  readonly ioId: number;
  readonly otherId: number;
  readonly subjectId: number;
}

/** The names that are one token of this tokenizer after a word and a space, as they stand in a sentence. */
export function singleTokenNames(tokenizer: Tokenizer, names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => nameId(tokenizer, 'and', name) !== null);
}

/** Draws tried for one pair before it is given up. */
const DRAWS = 1000;

/**
 * `count` different pairs by seed. `start`: the token every document starts with, put before each prompt; null = none.
 * Pairs whose prompts are tokenised to other lengths, or differ at more than the one name, are drawn again.
 *
 * @throws CallerError (BAD_INPUT) when fewer than three of the names are one token, naming those that are; when so many
 * different pairs cannot be drawn.
 */
export function ioiPrompts(tokenizer: Tokenizer, options: { readonly names: readonly string[]; readonly count: number; readonly seed: number; readonly start: number | null }): TokenisedPair[] {
  const { names, count, seed, start } = options;
  const single = singleTokenNames(tokenizer, names);
  if (single.length < 3) {
    throw new CallerError('BAD_INPUT', `the indirect-object task needs at least three names that are one token with a space before them: of ${new Set(names).size} names this tokenizer has ${single.length} as one token${single.length === 0 ? '' : ` (${single.join(', ')})`}; give others with --names FILE, one a line`);
  }
  const rng = Rng.derive(seed, 'ioi prompts');
  const pairs = new Map<string, TokenisedPair>();
  for (let draws = 0; pairs.size < count; draws++) {
    if (draws >= DRAWS * count) throw new CallerError('BAD_INPUT', `only ${pairs.size} different pairs of prompts could be made of ${single.length} names, ${count} were asked for: ask for fewer prompts or give more names`);
    const drawn = ioiPair(rng, single);
    const pair = tokenised(tokenizer, drawn, start);
    if (pair !== null) pairs.set(`${drawn.base}\n${drawn.counterfactual}`, pair);
  }
  return [...pairs.values()];
}

function tokenised(tokenizer: Tokenizer, pair: IoiPair, start: number | null): TokenisedPair | null {
  const idsOf = (text: string): Int32Array => Int32Array.of(...(start === null ? [] : [start]), ...tokenizer.encode(text));
  const [baseIds, counterfactualIds] = [idsOf(pair.base), idsOf(pair.counterfactual)];
  if (baseIds.length !== counterfactualIds.length || baseIds.reduce((n, id, t) => n + Number(id !== counterfactualIds[t]), 0) !== 1) return null;
  const [ioId, otherId, subjectId] = [pair.io, pair.other, pair.subject].map((name) => nameId(tokenizer, pair.base, name));
  return ioId === null || otherId === null || subjectId === null ? null : { ...pair, baseIds, counterfactualIds, ioId, otherId, subjectId };
}

/** The one token that a space and the name add to a text; null where they add more, or change what stands before. */
function nameId(tokenizer: Tokenizer, text: string, name: string): number | null {
  const before = tokenizer.encode(text);
  const after = tokenizer.encode(`${text} ${name}`);
  return after.length === before.length + 1 && before.every((id, t) => id === after[t]) ? after[before.length] : null;
}

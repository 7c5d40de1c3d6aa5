import { createContext, Script } from 'node:vm';
import { CallerError } from '../domain/errors.ts';

/** One for all calls, since none waits between its start and its end, and each costs a megabyte. */
const place = createContext({ regex: /(?:)/g, texts: [] as readonly string[] });
const FIND = new Script('texts.map((text) => Array.from(text.matchAll(regex), (match) => [match.index, match.index + match[0].length]))');

/** Seconds for the texts of one call, thousands of times what an expression without trouble takes. */
const SECONDS = 10;

/**
 * Where a regular expression with the flag g matches in each of some texts: [from, to) of every match, in UTF-16 units. Repetitions
 * within repetitions, as (a+)+$, can take longer than anyone lives; in a context of their own they can be stopped.
 *
 * @throws BAD_INPUT when the texts together take longer than `seconds`.
 */
export function boundedMatches(regex: RegExp, texts: readonly string[], seconds = SECONDS): readonly (readonly (readonly [number, number])[])[] {
  Object.assign(place, { regex, texts });
  try {
    return FIND.runInContext(place, { timeout: Math.ceil(1000 * seconds) }) as readonly (readonly (readonly [number, number])[])[];
  } catch (cause) {
    // An Error of the other context, so none by instanceof.
    if ((cause as { readonly code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause;
    throw new CallerError('BAD_INPUT', `/${regex.source}/ was still being matched after ${seconds} s: expected an expression without repetitions inside repetitions, such as (a+)+, where a text can be cut up in too many ways`, { cause, field: ['pattern'] });
  }
}

import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, TokenKey } from '../ports/CatalogReader.ts';
import { checkText, LIMITS } from './limits.ts';

/** A token by model and either its exact text or its id. */
export interface TokenChoice {
  readonly model: string;
  readonly text?: string | null;
  readonly id?: number | null;
}

/** Tokens that an ambiguous text lists. */
const LISTED = 10;

/**
 * The token chosen, from the vocabulary the catalog holds: no model is opened. Null for a model or an id there is none of; throws
 * BAD_INPUT for a text that is no single token, or the text of several.
 */
export async function findToken(reader: Pick<CatalogReader, 'tokens' | 'tokensNamed' | 'models'>, { model, text, id }: TokenChoice): Promise<TokenKey | null> {
  if ((text ?? null) === null) {
    if ((id ?? null) === null) throw bad('neither text nor id is given: expected one of them');
    if (id! < 0) return null;
    const [found] = await reader.tokens(model, [id!]);
    return (found ?? null) === null ? null : { model, id: id! };
  }
  if ((id ?? null) !== null) throw bad('text and id are both given: expected one of them');
  const ids = await reader.tokensNamed(model, checkText('text', text!, LIMITS.queryCharacters), LISTED + 1);
  if (ids.length === 1) return { model, id: ids[0]! };
  const shown = JSON.stringify(text);
  if (ids.length > 1) throw bad(`${shown} is the text of ${ids.length > LISTED ? `more than ${LISTED}` : ids.length} tokens of model ${model}: say which by id: ${ids.slice(0, LISTED).join(', ')}`);
  if (!(await reader.models()).some(({ name }) => name === model)) return null;
  // A space before a word belongs to its token in most vocabularies.
  const others = [` ${text}`, text!.trim()].filter((other) => other !== text && other !== '');
  const known = await Promise.all(others.map(async (other) => ((await reader.tokensNamed(model, other, 1)).length > 0 ? JSON.stringify(other) : [])));
  const hint = known.flat().join(' and ');
  throw bad(`${shown} is no single token of model ${model}: ${hint === '' ? 'expected the exact text of one, spaces included; `activations` shows how the model splits a text' : `it has ${hint}`}`);
}

function bad(message: string): CallerError {
  return new CallerError('BAD_INPUT', message, { field: ['text'] });
}

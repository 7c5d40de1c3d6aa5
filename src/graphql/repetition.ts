import type { NextFunction, Request, Response } from 'express';
import { GraphQLError, parse, visit } from 'graphql';
import { MAX_TOKENS } from './limits.ts';

/** Shorter documents cannot repeat enough to matter. */
const SHORT_CHARACTERS = 2000;
/** Pairs of equally named fields in a document: 200 of one name, or 40 each of 25 names. */
const MOST_PAIRS = 40_000;

/**
 * Refuses documents that repeat fields so often that validating them would hold up everybody: whether fields of one name can be merged
 * is looked at for each pair of them (GraphQL, section 5.3.2), which the limits on the operation come too late for.
 */
export function refuseRepetition(request: Request, response: Response, next: NextFunction): void {
  const { query } = (request.method === 'GET' ? request.query : request.body) as { readonly query?: unknown };
  const pairs = typeof query === 'string' && query.length > SHORT_CHARACTERS ? pairsOf(query) : 0;
  if (pairs <= MOST_PAIRS) return next();
  const message = `the document repeats fields of one name in ${pairs} pairs, above the limit of ${MOST_PAIRS}: send several operations`;
  const extensions = { code: 'LIMIT_EXCEEDED', limit: 'repetition', found: pairs, allowed: MOST_PAIRS };
  response.status(400).json({ errors: [new GraphQLError(message, { extensions }).toJSON()] });
}

/** Sum over names of fields (aliases, where given) of how often each comes, squared; 0 for what is no document. */
function pairsOf(query: string): number {
  const counts = new Map<string, number>();
  try {
    visit(parse(query, { noLocation: true, maxTokens: MAX_TOKENS }), {
      Field({ alias, name }) {
        const key = (alias ?? name).value;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      },
    });
  } catch {
    // What is wrong with it is said where it is parsed to be run.
    return 0;
  }
  return [...counts.values()].reduce((sum, count) => sum + count * count, 0);
}

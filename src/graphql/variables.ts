import { GraphQLError } from 'graphql';

/** Values in an operation's variables, and how deeply they nest. */
const MOST_VALUES = 20_000;
const MOST_LEVELS = 32;

/** Throws LIMIT_EXCEEDED where the variables hold more, or nest deeper, than any input of the contract needs. */
export function checkVariables(variables: unknown): void {
  let values = 0;
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_LEVELS) throw tooMuch('nest', depth, MOST_LEVELS);
    const inner: unknown[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue;
      for (const entry of Object.values(value)) inner.push(entry);
    }
    values += inner.length;
    if (values > MOST_VALUES) throw tooMuch('hold', values, MOST_VALUES);
    level = inner;
  }
}

function tooMuch(verb: string, found: number, allowed: number): GraphQLError {
  const unit = verb === 'nest' ? 'levels' : 'values';
  return new GraphQLError(`the variables ${verb} ${found} ${unit} or more, above the limit of ${allowed}`, {
    extensions: { code: 'LIMIT_EXCEEDED', limit: 'variables', found, allowed, http: { status: 400 } },
  });
}

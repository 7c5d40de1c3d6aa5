import { GraphQLError, GraphQLScalarType } from 'graphql';
import { invariant } from '../../domain/errors.ts';

function text(name: string) {
  return new GraphQLScalarType<string, string>({
    name,
    serialize: (value) => {
      invariant(typeof value === 'string', `${name} serializes a string, found ${typeof value}`);
      return value;
    },
    // Only the type is checked here: the catalog reads the text, so that a bad one is an error with the catalog's code.
    parseValue: (value) => {
      if (typeof value !== 'string') throw new GraphQLError(`${name} expects a string, found ${JSON.stringify(value)}`);
      return value;
    },
  });
}

/** Whole numbers to 2^53 − 1. Output only. */
const Count = new GraphQLScalarType<number, number>({
  name: 'Count',
  serialize: (value) => {
    invariant(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0, `Count is ${String(value)}`);
    return value;
  },
  parseValue: (value) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new GraphQLError(`Count expects a whole number from 0 to 2^53 - 1, found ${JSON.stringify(value)}`);
    }
    return value;
  },
});

const DateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  serialize: (value) => {
    const date = value instanceof Date ? value : new Date(String(value));
    invariant(!Number.isNaN(date.getTime()), `DateTime is ${String(value)}`);
    return date.toISOString();
  },
  parseValue: (value) => {
    const date = new Date(typeof value === 'string' ? value : Number.NaN);
    if (Number.isNaN(date.getTime())) throw new GraphQLError(`DateTime expects ISO 8601, found ${JSON.stringify(value)}`);
    return date;
  },
});

const RunValues = new GraphQLScalarType({ name: 'RunValues', serialize: (value) => value });

/** The functions alone: a whole scalar would replace the description that schema.graphql gives it. */
function functionsOf({ serialize, parseValue, parseLiteral }: GraphQLScalarType<unknown, unknown>) {
  return { serialize, parseValue, parseLiteral };
}

export const scalars = {
  Count: functionsOf(Count),
  DateTime: functionsOf(DateTime),
  RunValues: functionsOf(RunValues),
  HookPoint: functionsOf(text('HookPoint')),
  FeatureAddress: functionsOf(text('FeatureAddress')),
};

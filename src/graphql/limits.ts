import { GraphQLError } from 'graphql';

/** How much one operation may ask for. */
export interface OperationLimits {
  /** Nested fields, leaves included. */
  readonly depth: number;
  /** Aliased fields, fragments counted where they are spread. */
  readonly aliases: number;
  /** Objects the answer may hold, plus the weights of expensive fields; see @cost and @listSize in the schema. */
  readonly cost: number;
  /** Fields of the query or mutation itself. */
  readonly rootFields: number;
  /** Directives on fields and fragments, counted where they are spread. */
  readonly directives: number;
  /** Objects an answer about the schema itself may hold; the query every tool sends is counted as about 35,000. */
  readonly introspection: number;
}

/** A full page of 50 features costs about 60,000; introspection has a limit of its own and costs nothing. */
export const OPERATION_LIMITS: OperationLimits = { depth: 20, aliases: 60, cost: 100_000, rootFields: 40, directives: 100, introspection: 150_000 };

/** Lexical tokens of a document; more is refused before it is parsed whole. */
export const MAX_TOKENS = 3000;

/** What of an operation is limited, and the objects its answer may hold, weights left out. */
export interface OperationMeasure extends OperationLimits {
  readonly nodes: number;
}

/** Throws LIMIT_EXCEEDED (HTTP 400) naming the limit, what was found and what to try. */
export function checkOperation(measure: OperationMeasure, limits: OperationLimits): void {
  const advice: Record<keyof OperationLimits, string> = {
    depth: 'nest fewer fields',
    aliases: 'send several operations',
    cost: 'ask for smaller pages (first) or fewer nested lists',
    rootFields: 'send several operations',
    directives: 'leave fields out instead of skipping them',
    introspection: 'ask for the schema once, as getIntrospectionQuery() of graphql-js does',
  };
  for (const name of ['depth', 'aliases', 'cost', 'rootFields', 'directives', 'introspection'] as const) {
    if (measure[name] > limits[name]) {
      const what = name === 'rootFields' ? 'number of root fields' : name === 'directives' ? 'number of directives' : name;
      throw new GraphQLError(`the operation's ${what} is ${measure[name]}, above the limit of ${limits[name]}: ${advice[name]}`, {
        extensions: { code: 'LIMIT_EXCEEDED', limit: name, found: measure[name], allowed: limits[name], http: { status: 400 } },
      });
    }
  }
}

import { execute, getOperationAST, GraphQLError, type DocumentNode, type ExecutionResult, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { compileQuery, isCompiledQuery, type CompiledQuery } from 'graphql-jit';
import { isCompilable } from './compilable.ts';
import type { Context } from './context.ts';

/** Operations that are kept compiled; the one longest unused goes first. */
const KEPT = 200;

export interface Operation {
  readonly document: DocumentNode;
  readonly operationName?: string | null | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  readonly context: Context;
}

export type Executor = (operation: Operation) => Promise<ExecutionResult>;

export interface ExecutorOptions {
  /** The times an operation is run by graphql-js before it is compiled: what comes once is not worth it. Default 2; Infinity never compiles. */
  readonly before?: number;
}

type Known = number | CompiledQuery | 'never';

/**
 * Runs validated operations. Those that come again, as a program's do, are compiled once by graphql-jit: about a fifth of the time of
 * graphql-js, which looks at every value of an answer with the whole of the type system at hand. An operation is known by its node: Apollo
 * keeps one document for each text it has validated.
 */
export function createExecutor(schema: GraphQLSchema, { before = 2 }: ExecutorOptions = {}): Executor {
  const known = new Map<OperationDefinitionNode, Known>();
  const look = (document: DocumentNode, node: OperationDefinitionNode): Known => {
    const found = known.get(node) ?? 0;
    const now = typeof found === 'number' ? (found < before ? found + 1 : compiled(schema, document, node)) : found;
    // Set anew, it is the last of the map; the first is the one longest unused.
    known.delete(node);
    known.set(node, now);
    if (known.size > KEPT) known.delete(known.keys().next().value!);
    return now;
  };
  return async ({ document, operationName, variables, context }) => {
    const node = getOperationAST(document, operationName);
    const how = node === null || node === undefined ? 'never' : look(document, node);
    if (typeof how === 'object') {
      const result = await how.query(undefined, context, variables);
      // Variables of the wrong shape: nothing ran. graphql-js says it in the words, and with the code, that callers know.
      if (result.data !== undefined) return result.errors === undefined ? result : { ...result, errors: result.errors.map((error) => standing(error, document)) };
    }
    return execute({ schema, document, operationName: operationName ?? null, variableValues: variables ?? null, contextValue: context });
  };
}

function compiled(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): Known {
  if (!isCompilable(document, operation)) return 'never';
  const query = compileQuery(schema, document, operation.name?.value ?? '');
  return isCompiledQuery(query) ? query : 'never';
}

/** An error of graphql-jit as one of graphql-js, which others count on: extensions that are there, places that can be computed. */
function standing({ message, locations, path, originalError }: GraphQLError, { loc }: DocumentNode): GraphQLError {
  const places = loc === undefined ? {} : { source: loc.source, positions: (locations ?? []).map(({ line, column }) => offsetOf(loc.source.body, line, column)) };
  // A value that breaks the contract is this server's failure, as any other that a resolver throws: masked, and logged.
  return new GraphQLError(message, { path, originalError: originalError ?? new Error(message), ...places });
}

/** Of a line and a column, both from 1. */
function offsetOf(body: string, line: number, column: number): number {
  const ends = /\r\n|[\n\r]/g;
  for (let l = 1; l < line; l++) ends.exec(body);
  return ends.lastIndex + column - 1;
}

import { readFile } from 'node:fs/promises';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import { resolvers } from './resolvers/index.ts';

/** The contract, as written in schema.graphql at the root of the package. */
export function readSchema(): Promise<string> {
  return readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');
}

/** The contract with what answers it. */
export async function makeSchema(): Promise<GraphQLSchema> {
  return makeExecutableSchema({ typeDefs: await readSchema(), resolvers });
}

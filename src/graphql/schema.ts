import { readFile } from 'node:fs/promises';

/** The contract, as written in schema.graphql at the root of the package. */
export function readSchema(): Promise<string> {
  return readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');
}

import { createHash } from 'node:crypto';
import { GraphQLError, Kind, parse, print, separateOperations, type DefinitionNode, type DocumentNode } from 'graphql';
import { CallerError, messageOf } from '../domain/errors.ts';
import type { Viewer } from '../domain/viewer.ts';

/** The operations a server runs when it runs no others. */
export interface Safelist {
  /** Names of its operations, for what is measured by name. */
  readonly names: ReadonlySet<string>;
  /** The document of a SHA-256 (hex): clients may send the hash alone. */
  document(hash: string): string | undefined;
  /** Throws FORBIDDEN unless the operation, as it will run, is in the list; white space, comments and the order of fragments do not matter. */
  check(document: DocumentNode, operationName: string | undefined): void;
}

/** Whether the list binds this viewer: not the key of an administrator, who may have to look for what is wrong. */
export function bound({ keyId, scopes }: Viewer): boolean {
  return keyId === null || !scopes.has('admin');
}

/**
 * Reads a list: GraphQL text with any number of named operations and the fragments they use, or JSON that maps the SHA-256 of each
 * document to the document.
 *
 * @param name what to call the list in messages.
 */
export function readSafelist(text: string, name: string): Safelist {
  const byHash = new Map<string, string>();
  const allowed = new Set<string>();
  const names = new Set<string>();
  for (const [hash, source] of entriesOf(text, name)) {
    byHash.set(hash, source);
    for (const [operation, document] of Object.entries(separateOperations(parsed(source, name)))) {
      allowed.add(canonical(document));
      if (operation !== '') names.add(operation);
    }
  }
  if (allowed.size === 0) throw new CallerError('BAD_CONFIG', `${name} holds no operation: with it the server would answer nothing`);
  const known = new WeakMap<DocumentNode, Map<string, boolean>>();
  return {
    names,
    document: (hash) => byHash.get(hash),
    check(document, operationName = '') {
      const answers = known.get(document) ?? new Map<string, boolean>();
      known.set(document, answers);
      let listed = answers.get(operationName);
      if (listed === undefined) {
        const operations = separateOperations(document);
        const all = Object.values(operations);
        const chosen = operationName === '' && all.length === 1 ? all[0] : operations[operationName];
        listed = chosen !== undefined && allowed.has(canonical(chosen));
        answers.set(operationName, listed);
      }
      if (listed) return;
      throw new GraphQLError('this server runs only the operations on its list, and this is none of them', {
        extensions: { code: 'OPERATION_NOT_ALLOWED', http: { status: 403 } },
      });
    },
  };
}

/** Documents with their hashes. */
function entriesOf(text: string, name: string): readonly (readonly [string, string])[] {
  // GraphQL may begin with a brace too, but not with a brace and a quotation mark.
  if (!/^\s*\{\s*["}]/.test(text)) {
    const all = Object.values(separateOperations(parsed(text, name)));
    const sources = all.map((document) => print(document));
    return sources.map((source) => [sha256(source), source] as const);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CallerError('BAD_CONFIG', `${name} is no JSON: ${messageOf(error)}`, { cause: error });
  }
  return Object.entries(json as Readonly<Record<string, unknown>>).map(([hash, source]) => {
    if (typeof source !== 'string') throw new CallerError('BAD_CONFIG', `${name}: expected a document as text under ${hash}`);
    if (sha256(source) !== hash.toLowerCase()) throw new CallerError('BAD_CONFIG', `${name}: ${hash} is not the SHA-256 of its document (${sha256(source)} is)`);
    return [hash.toLowerCase(), source] as const;
  });
}

function parsed(source: string, name: string): DocumentNode {
  try {
    return parse(source, { noLocation: true });
  } catch (error) {
    throw new CallerError('BAD_CONFIG', `${name} cannot be read as GraphQL: ${messageOf(error)}`, { cause: error });
  }
}

/** One text for all ways to write an operation down with its fragments. */
function canonical(document: DocumentNode): string {
  const rank = (node: DefinitionNode): string => (node.kind === Kind.FRAGMENT_DEFINITION ? node.name.value : '');
  const definitions = [...document.definitions].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
  return print({ ...document, definitions });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

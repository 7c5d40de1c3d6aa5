import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, getNamedType, getNullableType, isLeafType, isListType, isNonNullType, isObjectType, type GraphQLField, type GraphQLObjectType } from 'graphql';
import { NODE_TYPES } from '../../src/graphql/ids.ts';
import { readSchema } from '../../src/graphql/schema.ts';
import type { Json } from '../helpers/graphqlClient.ts';
import { withServer, type TestServer } from './withServer.ts';

const schema = buildSchema(await readSchema());
const objects = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.name.startsWith('__')) as GraphQLObjectType[];

/** How an object of each type that has connections is reached; for some connections another one. */
const WAYS: Readonly<Record<string, string>> = {
  Query: '',
  Model: 'model(name: "toy")',
  Dictionary: 'dictionary(model: "toy", name: "0-tied-r2")',
  Feature: 'feature(address: "toy/1-tied-r2/3")',
  Token: 'token(model: "toy", id: 3)',
  Run: 'run(key: "train-0123456789abcdef")',
  'Run.analysedDictionaries': 'run(key: "analyse-0123456789abcdef")',
  'Run.explanationSummaries': 'run(key: "explain-0123456789abcdef")',
};
/** Arguments that a connection cannot do without. */
const ARGUMENTS: Readonly<Record<string, string>> = { 'Query.searchFeatures': 'query: "giraffe"' };
/** Connections that must be among those tested; the seeded catalog has several entries in each but those of one. */
const MANY = ['Dictionary.features', 'Feature.exemplarPages', 'Feature.incomingEdges', 'Feature.outputTokens', 'Model.dictionaries', 'Query.dictionaries', 'Query.features', 'Query.runs', 'Query.searchFeatures', 'Run.analysedDictionaries', 'Run.explanationSummaries', 'Run.trainedDictionaries', 'Token.sources'];

interface List {
  readonly name: string;
  readonly type: string;
  ask(server: TestServer, args: string): Promise<{ readonly answer: Connection; readonly code: string | null }>;
}

interface Connection {
  readonly edges: { readonly cursor: string; readonly node: Json }[];
  readonly nodes: Json[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly hasPreviousPage: boolean; readonly startCursor: string | null; readonly endCursor: string | null };
}

/** What can be read of an object without arguments, objects left out. */
function leavesOf(type: GraphQLObjectType): string {
  return Object.values(type.getFields()).filter((field) => isLeafType(getNamedType(field.type)) && field.args.every((argument) => !isNonNullType(argument.type) || argument.defaultValue !== undefined)).map(({ name }) => name).join(' ');
}

const lists: List[] = objects.flatMap((type) => Object.values(type.getFields()).flatMap((field) => listOf(type, field)));

function listOf(type: GraphQLObjectType, field: GraphQLField<unknown, unknown>): List[] {
  const connection = getNamedType(field.type) as GraphQLObjectType;
  const name = `${type.name}.${field.name}`;
  const way = WAYS[name] ?? WAYS[type.name];
  const needs = field.args.filter((argument) => isNonNullType(argument.type) && argument.defaultValue === undefined);
  if (!connection.name.endsWith('Connection') || way === undefined || (needs.length > 0 && ARGUMENTS[name] === undefined)) return [];
  const edge = getNamedType(connection.getFields()['edges']!.type) as GraphQLObjectType;
  const leaves = leavesOf(getNamedType(edge.getFields()['node']!.type) as GraphQLObjectType);
  const wrap = (inner: string): string => (way === '' ? inner : `at: ${way} { ${inner} }`);
  return [{
    name,
    type: connection.name,
    async ask(server, args) {
      const { data, errors } = await server.send(`{ ${wrap(`list: ${field.name}(${ARGUMENTS[name] ?? ''} ${args}) { edges { cursor node { ${leaves} } } nodes { ${leaves} } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }`)} }`);
      const at = way === '' ? data : ((data as { at?: Json } | null)?.at ?? null);
      return { answer: (at as { list?: unknown } | null)?.list as Connection, code: errors.length === 0 ? null : String(errors[0]!.extensions['code']) };
    },
  }];
}

/** The whole list by pages of a size, each page checked by itself. */
async function pages(server: TestServer, list: List, first: number): Promise<Connection['edges']> {
  const found: Connection['edges'] = [];
  let after: string | null = null;
  for (;;) {
    const { answer, code } = await list.ask(server, `first: ${first}${after === null ? '' : `, after: "${after}"`}`);
    const what = `${list.name} by ${first} after ${found.length}`;
    assert.equal(code, null, what);
    const { edges, nodes, pageInfo } = answer;
    assert.deepEqual(nodes, edges.map(({ node }) => node), what);
    assert.deepEqual(pageInfo, { hasNextPage: pageInfo.hasNextPage, hasPreviousPage: after !== null, startCursor: edges[0]?.cursor ?? null, endCursor: edges.at(-1)?.cursor ?? null }, what);
    assert.ok(edges.length <= first && (edges.length === first || !pageInfo.hasNextPage), what);
    assert.ok(edges.length > 0 || after === null, `${what}: hasNextPage was wrong`);
    found.push(...edges);
    if (!pageInfo.hasNextPage) return found;
    after = pageInfo.endCursor;
  }
}

test('every connection: pages of any size give the whole list once, in order; cursors of other lists are refused', () =>
  withServer({ seed: { features: 17, layers: 3 } }, async (server) => {
    assert.deepEqual(MANY.filter((name) => !lists.some((list) => list.name === name)), []);
    const cursors = new Map<string, { list: List; cursor: string }>();
    for (const list of lists) {
      const whole = await pages(server, list, 100);
      assert.equal(new Set(whole.map(({ cursor }) => cursor)).size, whole.length, `${list.name} repeats a cursor`);
      if (MANY.includes(list.name)) assert.ok(whole.length > 1, `${list.name} has ${whole.length}`);
      for (const size of [1, 2, 5, Math.max(1, whole.length - 1), Math.max(1, whole.length)]) {
        if (size === 1 && whole.length > 30) continue;
        assert.deepEqual(await pages(server, list, size), whole, `${list.name} by ${size}`);
      }
      for (const [args, expected] of [['first: 0', 'LIMIT_EXCEEDED'], ['first: 101', 'LIMIT_EXCEEDED'], ['first: 1, after: "!"', 'BAD_CURSOR'], ['first: 1, after: "WzFd"', 'BAD_CURSOR']] as const) {
        assert.equal((await list.ask(server, args)).code, expected, `${list.name}(${args})`);
      }
      if (whole.length > 0 && !cursors.has(list.type)) cursors.set(list.type, { list, cursor: whole[0]!.cursor });
    }
    for (const list of lists) {
      for (const [type, { list: other, cursor }] of cursors) {
        if (type !== list.type) assert.equal((await list.ask(server, `first: 1, after: "${cursor}"`)).code, 'BAD_CURSOR', `${list.name} takes a cursor of ${other.name}`);
      }
    }
  }));

test('node gives an object equal to the one its id was read from, of every type', () =>
  withServer({ seed: { features: 5, layers: 2 } }, async (server) => {
    await server.catalog.reader.savePatchRun({ id: 'c0ffee', input: { model: 'toy', base: 'a' }, result: {}, weightsHash: 'w', codeVersion: 'v', createdAt: '2026-01-02T03:04:05.000Z', milliseconds: 1 } as unknown as Parameters<typeof server.catalog.reader.savePatchRun>[0]);
    const PATCH_RUN = 'id hash modelName weightsHash codeVersion createdAt milliseconds';
    const patchId = Buffer.from('PatchRun:c0ffee').toString('base64url');
    const fields = (type: string): string => (type === 'PatchRun' ? PATCH_RUN : leavesOf(schema.getType(type) as GraphQLObjectType));
    const ways: Record<string, (inner: string) => string> = {
      Model: (inner) => `models { nodes { ${inner} } }`,
      Dictionary: (inner) => `dictionaries { nodes { ${inner} } }`,
      Feature: (inner) => `features { nodes { ${inner} } }`,
      Explanation: (inner) => `feature(address: "toy/0-tied-r2/1") { nodes: explanations { nodes { ${inner} } } }`,
      Run: (inner) => `runs { nodes { ${inner} } }`,
      PatchRun: (inner) => `patchRun(id: "${patchId}") { ${inner} }`,
    };
    assert.deepEqual(NODE_TYPES.filter((type) => ways[type] !== undefined), Object.keys(ways));
    for (const [type, way] of Object.entries(ways)) {
      const data = (await server.ask(`{ at: ${way(`__typename ${fields(type)}`)} }`)) as { at: { nodes?: Json[] | { nodes: Json[] } } };
      const inner = type === 'PatchRun' ? [data.at as Json] : Array.isArray(data.at.nodes) ? data.at.nodes : (data.at.nodes as { nodes: Json[] }).nodes;
      assert.ok(inner.length > 0, type);
      const ids = inner.map((object) => (object as { id: string }).id);
      for (const [i, id] of ids.entries()) {
        assert.deepEqual(await server.ask(`{ node(id: "${id}") { __typename ... on ${type} { ${fields(type)} } } }`), { node: inner[i]! }, `${type} ${id}`);
      }
      assert.deepEqual(await server.ask(`query ($ids: [ID!]!) { nodes(ids: $ids) { id } }`, { ids: [...ids, 'bm90aGluZw'] }), { nodes: [...ids.map((id) => ({ id })), null] });
    }
    assert.ok(isListType(getNullableType(schema.getQueryType()!.getFields()['nodes']!.type)));
  }));

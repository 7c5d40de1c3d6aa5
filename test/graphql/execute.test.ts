import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execute, GraphQLError, parse, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { CallerError } from '../../src/domain/errors.ts';
import { isCompilable } from '../../src/graphql/compilable.ts';
import type { Context } from '../../src/graphql/context.ts';
import { createExecutor } from '../../src/graphql/execute.ts';

const schema = makeExecutableSchema({
  typeDefs: `type Query { item(name: String, n: Int = 2): Item  items(first: Int!): [Item!]!  failing: Int  broken: Item! }
    type Item { name: String  size: Float!  kind: Kind!  tags: [String!]!  other: Item  never: Int! }
    enum Kind { ONE TWO }
    type Mutation { set(name: String): Item }`,
  resolvers: {
    Kind: { ONE: 'first', TWO: 'second' },
    Query: {
      item: async (_: unknown, { name, n }: { name?: string; n: number }) => ({ name: name ?? null, size: n, kind: 'second', tags: ['a', name ?? 'b'] }),
      items: (_: unknown, { first }: { first: number }) => Array.from({ length: first }, (__, i) => ({ name: `i${i}`, size: i / 2, kind: 'first', tags: [] })),
      failing: () => {
        throw new CallerError('BAD_INPUT', 'this is wrong', { field: ['x'] });
      },
      broken: () => null,
    },
    Item: { other: async ({ size }: { size: number }) => (size > 2 ? null : { name: 'o', size: size + 1, kind: 'first', tags: ['t'] }), never: () => null },
    Mutation: { set: (_: unknown, { name }: { name?: string }) => ({ name, size: 1, kind: 'first', tags: [] }) },
  },
});
const context = {} as Context;

function operationOf(document: DocumentNode): OperationDefinitionNode {
  return document.definitions.find((node) => node.kind === 'OperationDefinition')!;
}

/** As a client gets it. */
const sent = (result: unknown): unknown => JSON.parse(JSON.stringify(result));

const ALIKE: readonly (readonly [query: string, variables?: Record<string, unknown>])[] = [
  ['{ item(name: "demo/0-tied-r4/1") { name size kind tags other { other { size other { name } } } } }'],
  ['query ($first: Int!) { items(first: $first) { ...f } } fragment f on Item { name kind other { ...g } } fragment g on Item { size tags }', { first: 3 }],
  ['query ($name: String = "x", $n: Int) { a: item(name: $name, n: $n) { name size } b: item { tags __typename } }', {}],
  ['query ($name: String, $n: Int) { item(name: $name, n: $n) { name size } }', { name: null }],
  // Errors: of resolvers, of nulls where none may be, at any depth, and of variables.
  ['{ failing item { name } }'],
  ['{ item { name other { never } } }'],
  ['{ items(first: 2) { never } }'],
  ['{ broken { name } item { name } }'],
  ['query ($first: Int!) { items(first: $first) { name } }', { first: 'many' }],
  ['query ($first: Int!) { items(first: $first) { name } }', {}],
];

for (const [query, variables] of ALIKE) {
  test(`compiled and interpreted answer alike: ${query.slice(0, 60)}`, async () => {
    const document = parse(query);
    assert.ok(isCompilable(document, operationOf(document)));
    const run = createExecutor(schema, { before: 0 });
    const expected = await execute({ schema, document, variableValues: variables ?? null, contextValue: context });
    const found = await run({ document, variables, context });
    assert.deepEqual(sent(found), sent(expected));
    for (const [i, error] of (found.errors ?? []).entries()) {
      assert.ok(error instanceof GraphQLError);
      assert.deepEqual({ ...error.extensions }, {});
      assert.equal(error.originalError?.constructor, expected.errors![i]!.originalError?.constructor);
    }
  });
}

test('what could be taken for code, and what compiling gains nothing, is interpreted, with the same answers', async () => {
  const magic = 'item(name: "__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74d globalThis.taken = true") { name }';
  const documents = [
    `{ ${magic} }`,
    `query ($n: Int) { item(name: "\\u005f_MAGIC_NAN__57f286b9_4c20_487f_b409_79804ddcb4f8", n: $n) { name } }`,
    '{ item(name: "\\"); globalThis.taken = true; (\\"") { name } }',
    '{ item(name: """${globalThis.taken = true}""") { name } }',
    '{ __proto__: item { name } }',
    '{ __schema { queryType { name } } }',
    '{ item @include(if: true) { name } }',
    'mutation { set(name: "a") { name } }',
  ].map((text) => parse(text));
  for (const document of documents) {
    assert.ok(!isCompilable(document, operationOf(document)));
    const run = createExecutor(schema, { before: 0 });
    assert.deepEqual(sent(await run({ document, context })), sent(await execute({ schema, document, contextValue: context })));
  }
  assert.ok(!('taken' in globalThis));
});

test('documents whose fragments multiply are not written out', () => {
  const levels = 20;
  const fragments = Array.from({ length: levels }, (_, i) => `fragment f${i} on Item { a: other { ...f${i + 1} } b: other { ...f${i + 1} } }`);
  const document = parse(`{ item { ...f0 } } ${fragments.join(' ')} fragment f${levels} on Item { name }`);
  assert.ok(!isCompilable(document, operationOf(document)));
});

test('an operation is compiled when it has come often enough, each of a document by itself', async () => {
  const document = parse('query a { item { name } } query b { items(first: 1) { size } }');
  const run = createExecutor(schema, { before: 1 });
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(sent(await run({ document, operationName: 'a', context })), { data: { item: { name: null } } });
    assert.deepEqual(sent(await run({ document, operationName: 'b', context })), { data: { items: [{ size: 0 }] } });
  }
  const { errors } = await run({ document, context });
  assert.match(errors![0]!.message, /operation name/);
});

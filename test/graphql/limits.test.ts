import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, getIntrospectionQuery, Kind, parse, type OperationDefinitionNode } from 'graphql';
import { checkOperation, OPERATION_LIMITS } from '../../src/graphql/limits.ts';
import { measureOperation } from '../../src/graphql/measure.ts';
import { readSchema } from '../../src/graphql/schema.ts';

const schema = buildSchema(await readSchema());

function measure(source: string, variables: Record<string, unknown> = {}) {
  const document = parse(source);
  const operation = document.definitions.find((node): node is OperationDefinitionNode => node.kind === Kind.OPERATION_DEFINITION)!;
  return measureOperation(schema, document, operation, variables);
}

test('an object costs 1, a leaf 0', () => {
  assert.deepEqual(measure('{ server { version healthy } }'), { depth: 2, aliases: 0, cost: 1, rootFields: 1, directives: 0, introspection: 0, nodes: 1 });
});

test('a connection costs its page: nodes and edges times first, given, defaulted or by variable', () => {
  // connection 1 + n edges × (edge 1 + node 1)
  assert.equal(measure('{ models(first: 7) { edges { node { name } } } }').cost, 1 + 7 * 2);
  assert.equal(measure('{ models { nodes { name } } }').cost, 1 + 20);
  assert.equal(measure('query ($n: Int!) { models(first: $n) { nodes { name } } }', { n: 9 }).cost, 1 + 9);
  assert.equal(measure('query ($n: Int = 4) { models(first: $n) { nodes { name } } }').cost, 1 + 4);
});

test('sizes multiply through nesting and fragments alike', () => {
  const nested = '{ models(first: 3) { nodes { dictionaries(first: 5) { nodes { name quality { fvu } } } } } }';
  assert.equal(measure(nested).cost, 1 + 3 * (1 + 1 + 5 * (1 + 1)));
  const spread = `{ models(first: 3) { ...M } }
    fragment M on ModelConnection { nodes { ...D } }
    fragment D on Model { dictionaries(first: 5) { ...E } }
    fragment E on DictionaryConnection { nodes { name quality { fvu } } }`;
  assert.equal(measure(spread).cost, measure(nested).cost);
  assert.equal(measure(spread).depth, measure(nested).depth);
});

test('absurd and missing sizes count as a full page', () => {
  const full = measure('{ models(first: 100) { nodes { name } } }').cost;
  assert.equal(measure('{ models(first: 100000000) { nodes { name } } }').cost, full);
  assert.equal(measure('query ($n: Int!) { models(first: $n) { nodes { name } } }', { n: 'x' }).cost, full);
});

test('a circuit costs the edges and nodes it may hold, beyond a page', () => {
  const cost = (first: string) => measure(`{ circuit(target: { feature: "a/b/0" }${first}) { edges { effect source { feature { address } } } nodes { depth } } }`).cost;
  // weight 50, the circuit, n × (edge + its source + the source's feature) and n × node
  assert.equal(cost(', first: 500'), 50 + 1 + 500 * 4);
  assert.equal(cost(''), 50 + 1 + 100 * 4);
  assert.equal(cost(', first: 100000'), cost(', first: 500'));
});

test('live fields carry their weight', () => {
  assert.ok(measure('{ activations(model: "m", text: "t") { tokens } }').cost >= 200);
  assert.ok(measure('mutation { patch(input: {model: "m", base: "b", features: []}) { userErrors { code } } }').cost >= 500);
  assert.ok(measure('mutation { explainFeature(input: {feature: "m/d/0"}) { userErrors { code } } }').cost >= 5000);
});

test('a chain of doubling fragments is measured in no time and refused', () => {
  const levels = 200;
  const chain = Array.from(
    { length: levels },
    (_, i) => `fragment F${i} on Feature { a: incomingEdges(first: 1) { nodes { ...F${i + 1} } } b: outgoingEdges(first: 1) { nodes { ...F${i + 1} } } }`,
  );
  const source = `{ feature(address: "a/b/0") { ...F0 } } ${chain.join('\n')} fragment F${levels} on Feature { index }`;
  const found = measure(source);
  assert.ok(found.cost > 1e50);
  assert.throws(() => checkOperation(found, OPERATION_LIMITS), /above the limit/);
});

test('fragment cycles end the walk', () => {
  assert.equal(measure('{ models { ...A } } fragment A on ModelConnection { nodes { ...B } } fragment B on Model { dictionaries { nodes { model { ...B } } } }').aliases, 0);
});

test('each limit has its own message; a useful page and introspection pass', () => {
  const deep = `{ feature(address: "a/b/0") { ${'incomingEdges { nodes { '.repeat(11)} index ${'} }'.repeat(11)} } }`;
  assert.throws(() => checkOperation({ ...measure(deep), cost: 0 }, OPERATION_LIMITS), /depth is 24, above the limit of 20/);
  const wide = `{ ${Array.from({ length: 61 }, (_, i) => `a${i}: server { version }`).join(' ')} }`;
  assert.throws(() => checkOperation(measure(wide), OPERATION_LIMITS), /aliases is 61/);
  assert.throws(
    () => checkOperation(measure('{ features(first: 100) { nodes { incomingEdges(first: 100) { nodes { exemplars(first: 100) { text } } } } } }'), OPERATION_LIMITS),
    /cost is \d+, above the limit of 100000/,
  );
  checkOperation(measure(getIntrospectionQuery()), OPERATION_LIMITS);
  checkOperation(
    measure(`{ features(first: 50) { nodes { address dictionary { name } explanations { nodes { description scores { value interval { low high } } } }
      exemplars(first: 20) { maxActivation tokens { text activation } } topLogits { text value } bottomLogits { text value }
      neighbours { cosine feature { address } } incomingEdges { edges { effect node { address } } } } } }`),
    OPERATION_LIMITS,
  );
});

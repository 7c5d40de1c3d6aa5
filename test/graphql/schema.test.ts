import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  buildSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isListType,
  isNonNullType,
  isObjectType,
  isSpecifiedDirective,
  isSpecifiedScalarType,
  validateSchema,
  type GraphQLObjectType,
} from 'graphql';
import { readSchema } from '../../src/graphql/schema.ts';
import { resolvers } from '../../src/graphql/resolvers/index.ts';

const schema = buildSchema(await readSchema());
const types = Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type));
const objects = types.filter((type) => isObjectType(type));

test('the schema is valid', () => {
  assert.deepEqual(validateSchema(schema), []);
});

test('every type, field, argument, enum value, input field and directive is described', () => {
  const missing: string[] = [];
  const need = (what: string, description: string | null | undefined): void => {
    if ((description ?? '').trim().length < 6) missing.push(what);
  };
  for (const type of types) {
    need(type.name, type.description);
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        need(`${type.name}.${field.name}`, field.description);
        for (const argument of field.args) need(`${type.name}.${field.name}(${argument.name}:)`, argument.description);
      }
    }
    if (isInputObjectType(type)) for (const field of Object.values(type.getFields())) need(`${type.name}.${field.name}`, field.description);
    if (isEnumType(type)) for (const value of type.getValues()) need(`${type.name}.${value.name}`, value.description);
  }
  for (const directive of schema.getDirectives().filter((candidate) => !isSpecifiedDirective(candidate))) {
    need(`@${directive.name}`, directive.description);
    for (const argument of directive.args) need(`@${directive.name}(${argument.name}:)`, argument.description);
  }
  assert.deepEqual(missing, []);
});

test('connections follow the Relay specification', () => {
  const connections = objects.filter((type) => type.name.endsWith('Connection'));
  assert.ok(connections.length >= 6);
  for (const type of connections) {
    const { edges, nodes, pageInfo } = type.getFields();
    assert.equal(String(pageInfo!.type), 'PageInfo!', type.name);
    const edge = getNamedType(edges!.type) as GraphQLObjectType;
    assert.equal(String(edges!.type), `[${edge.name}!]!`);
    assert.equal(String(edge.getFields()['cursor']!.type), 'String!');
    assert.equal(String(nodes!.type), `[${getNamedType(edge.getFields()['node']!.type).name}!]!`);
  }
  assert.deepEqual(
    Object.values((schema.getType('PageInfo') as GraphQLObjectType).getFields()).map((field) => `${field.name}: ${field.type}`),
    ['hasNextPage: Boolean!', 'hasPreviousPage: Boolean!', 'startCursor: String', 'endCursor: String'],
  );
});

test('fields that return a connection take first with a default and after, and are sized', () => {
  for (const type of objects) {
    for (const field of Object.values(type.getFields())) {
      if (!getNamedType(field.type).name.endsWith('Connection')) continue;
      const where = `${type.name}.${field.name}`;
      assert.equal(String(field.args.find((argument) => argument.name === 'first')?.type), 'Int!', where);
      assert.ok((field.args.find((argument) => argument.name === 'first')?.defaultValue as number) <= 100, where);
      assert.equal(String(field.args.find((argument) => argument.name === 'after')?.type), 'String', where);
      assert.ok(field.astNode?.directives?.some((directive) => directive.name.value === 'listSize'), `${where} has no @listSize`);
    }
  }
});

test('every list of objects has a size for the cost of an operation', () => {
  const unsized: string[] = [];
  for (const type of objects.filter((candidate) => !/(Connection|Edge)$/.test(candidate.name))) {
    for (const field of Object.values(type.getFields())) {
      const bare = isNonNullType(field.type) ? field.type.ofType : field.type;
      if (!isListType(bare) || !isObjectType(getNamedType(field.type))) continue;
      if (!field.astNode?.directives?.some((directive) => directive.name.value === 'listSize')) unsized.push(`${type.name}.${field.name}`);
    }
  }
  assert.deepEqual(unsized, []);
});

test('each mutation takes one input and returns a payload with user errors', () => {
  for (const field of Object.values(schema.getMutationType()!.getFields())) {
    assert.deepEqual(
      field.args.map((argument) => `${argument.name}: ${argument.type}`),
      [`input: ${field.name[0]!.toUpperCase()}${field.name.slice(1)}Input!`],
    );
    const payload = getNamedType(field.type) as GraphQLObjectType;
    assert.match(payload.name, /Payload$/);
    assert.equal(String(payload.getFields()['userErrors']?.type), '[UserError!]!');
  }
});

test('a field called id is a global id: its type is a Node', () => {
  for (const type of objects) {
    const id = type.getFields()['id'];
    if (id === undefined || String(id.type) !== 'ID!') continue;
    assert.ok(type.getInterfaces().some((candidate) => candidate.name === 'Node'), type.name);
  }
});

test('every type is reachable and every resolver resolves something of the contract', () => {
  for (const [typeName, fields] of Object.entries(resolvers)) {
    const type = schema.getType(typeName);
    assert.ok(type !== undefined, `resolvers name a type "${typeName}" the schema lacks`);
    if (!isObjectType(type)) continue;
    for (const field of Object.keys(fields)) assert.ok(type.getFields()[field] !== undefined, `${typeName}.${field} is not in the schema`);
  }
});

test('what is deprecated says in its reason what to use instead, and that exists', () => {
  const fieldNames = new Set(objects.flatMap((type) => Object.keys(type.getFields())));
  const reasons: [string, string][] = [];
  for (const type of objects) {
    for (const field of Object.values(type.getFields())) {
      if (typeof field.deprecationReason === 'string') reasons.push([`${type.name}.${field.name}`, field.deprecationReason]);
      for (const argument of field.args) if (typeof argument.deprecationReason === 'string') reasons.push([`${type.name}.${field.name}(${argument.name}:)`, argument.deprecationReason]);
    }
  }
  assert.ok(reasons.length > 0);
  for (const [where, reason] of reasons) {
    const named = [...reason.matchAll(/`(?:\w+\.)?(\w+)`/g)].map((match) => match[1]!);
    assert.ok(named.some((name) => fieldNames.has(name) || schema.getType(name) !== undefined), `${where}: "${reason}" names no field in backticks to use instead`);
  }
});

test('names: types in PascalCase, fields and arguments in camelCase, enum values in capitals, no type name repeated', () => {
  const wrong: string[] = [];
  const need = (name: string, pattern: RegExp, where: string): void => {
    if (!pattern.test(name)) wrong.push(`${where} ${name}`);
  };
  for (const type of types) {
    need(type.name, /^[A-Z][A-Za-z0-9]*$/, 'type');
    if (isEnumType(type)) for (const value of type.getValues()) need(value.name, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/, type.name);
    if (isInputObjectType(type)) {
      assert.match(type.name, /(Input|Filter|Range|Target|Choice|Order)$/, `input ${type.name} says by its end what it is`);
      for (const field of Object.values(type.getFields())) need(field.name, /^[a-z][A-Za-z0-9]*$/, type.name);
    }
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      need(field.name, /^[a-z][A-Za-z0-9]*$/, type.name);
      for (const argument of field.args) need(argument.name, /^[a-z][A-Za-z0-9]*$/, `${type.name}.${field.name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every connection has one edge type of its own', () => {
  const owners = new Map<string, string[]>();
  for (const type of objects.filter(({ name }) => name.endsWith('Connection'))) {
    const edge = getNamedType(type.getFields()['edges']!.type).name;
    owners.set(edge, [...(owners.get(edge) ?? []), type.name]);
  }
  assert.deepEqual([...owners].filter(([, of]) => of.length > 1), []);
});

test('lists hold no nulls, except the texts and nodes that may be missing', () => {
  const holed: string[] = [];
  for (const type of objects) {
    for (const field of Object.values(type.getFields())) {
      const bare = isNonNullType(field.type) ? field.type.ofType : field.type;
      if (isListType(bare) && !isNonNullType(bare.ofType)) holed.push(`${type.name}.${field.name}`);
    }
  }
  assert.deepEqual(holed.sort(), ['Exemplar.texts', 'Query.nodes']);
});

import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  valueFromAST,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

import type { OperationMeasure } from './limits.ts';

/** Largest size assumed for a list, unless its @listSize says another: pages above it are refused by the catalog anyway. */
const MAX_PAGE = 100;
/** Entries assumed of a list the schema says nothing about. */
const UNSIZED = 10;

/** Lists of the schema's description of itself: how long they are taken to be. */
const INTROSPECTION_SIZES: Readonly<Record<string, number>> = { fields: 8, args: 2, inputFields: 3, enumValues: 2, interfaces: 1, possibleTypes: 1, directives: 6, locations: 3 };

interface Walk {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Measures of fragments already walked, by name, type and inherited sizes: keeps the walk linear. */
  readonly known: Map<string, OperationMeasure>;
  /** Fragments being walked: a cycle (which validation refuses) ends the walk instead of the process. */
  readonly open: Set<string>;
}

/** What a connection passes on to its `edges` and `nodes`. */
interface Inherited {
  readonly fields: readonly string[];
  readonly size: number;
}

const NOTHING: OperationMeasure = { depth: 0, aliases: 0, cost: 0, rootFields: 0, directives: 0, introspection: 0, nodes: 0 };
const NO_SIZES: Inherited = { fields: [], size: 1 };

/** Measures a validated operation before it runs, in time linear in the document. @skip and @include are taken as included. */
export function measureOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): OperationMeasure {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const walk: Walk = { schema, fragments, variables: withDefaults(schema, operation, variables), known: new Map(), open: new Set() };
  const measure = measureSet(walk, operation.selectionSet, schema.getRootType(operation.operation) ?? undefined, NO_SIZES);
  return { ...measure, directives: measure.directives + (operation.directives?.length ?? 0) };
}

function withDefaults(schema: GraphQLSchema, operation: OperationDefinitionNode, given: Readonly<Record<string, unknown>>) {
  const values: Record<string, unknown> = { ...given };
  for (const { variable, defaultValue, type } of operation.variableDefinitions ?? []) {
    if (!(variable.name.value in values) && defaultValue !== undefined) {
      const named = type.kind === Kind.NON_NULL_TYPE ? type.type : type;
      const known = named.kind === Kind.NAMED_TYPE ? schema.getType(named.name.value) : undefined;
      if (known?.name === 'Int') values[variable.name.value] = valueFromAST(defaultValue, known as never);
    }
  }
  return values;
}

function measureSet(walk: Walk, set: SelectionSetNode, parent: GraphQLNamedType | undefined, inherited: Inherited): OperationMeasure {
  let total = NOTHING;
  for (const selection of set.selections) {
    const directives = selection.directives?.length ?? 0;
    if (directives > 0) total = { ...total, directives: total.directives + directives };
    switch (selection.kind) {
      case Kind.FIELD:
        total = add(total, measureField(walk, selection, parent, inherited));
        break;
      case Kind.INLINE_FRAGMENT: {
        const on = selection.typeCondition === undefined ? parent : walk.schema.getType(selection.typeCondition.name.value);
        total = add(total, measureSet(walk, selection.selectionSet, on, inherited));
        break;
      }
      case Kind.FRAGMENT_SPREAD:
        total = add(total, measureFragment(walk, selection.name.value, inherited));
        break;
    }
  }
  return total;
}

function measureFragment(walk: Walk, name: string, inherited: Inherited): OperationMeasure {
  const fragment = walk.fragments.get(name);
  if (fragment === undefined || walk.open.has(name)) return NOTHING;
  const key = `${name} ${inherited.size} ${inherited.fields.join()}`;
  const known = walk.known.get(key);
  if (known !== undefined) return known;
  walk.open.add(name);
  const measure = measureSet(walk, fragment.selectionSet, walk.schema.getType(fragment.typeCondition.name.value), inherited);
  walk.open.delete(name);
  walk.known.set(key, measure);
  return measure;
}

function measureField(walk: Walk, node: FieldNode, parent: GraphQLNamedType | undefined, inherited: Inherited): OperationMeasure {
  const aliases = node.alias === undefined ? 0 : 1;
  const name = node.name.value;
  const leaf = { ...NOTHING, depth: 1, aliases, rootFields: 1 };
  // How deep lists of introspection nest is bounded by graphql-js's own rule.
  if (name === '__schema' || name === '__type') return { ...leaf, ...introspected(walk, node, name) };
  const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined;
  if (field === undefined) return leaf;
  const type = getNamedType(field.type);
  const sized = sizesOf(walk, field, node, parent?.name.startsWith('__') === true);
  const below = node.selectionSet === undefined ? NOTHING : measureSet(walk, node.selectionSet, type, sized.passedOn);
  const entries = inherited.fields.includes(name) ? inherited.size : sized.entries;
  const own = isCompositeType(type) ? 1 : 0;
  return {
    depth: 1 + below.depth,
    aliases: aliases + below.aliases,
    cost: weightOf(field) + entries * (own + below.cost),
    rootFields: 1,
    directives: below.directives,
    introspection: below.introspection,
    nodes: entries * (own + below.nodes),
  };
}

function introspected(walk: Walk, node: FieldNode, name: '__schema' | '__type'): Partial<OperationMeasure> {
  if (node.selectionSet === undefined) return {};
  const below = measureSet(walk, node.selectionSet, walk.schema.getType(name === '__schema' ? '__Schema' : '__Type'), NO_SIZES);
  return { aliases: below.aliases + (node.alias === undefined ? 0 : 1), directives: below.directives, introspection: 1 + below.cost };
}

function weightOf(field: GraphQLField<unknown, unknown>): number {
  return (directive(field, 'cost')?.['weight'] as number | undefined) ?? 0;
}

function sizesOf(walk: Walk, field: GraphQLField<unknown, unknown>, node: FieldNode, introspection: boolean): { entries: number; passedOn: Inherited } {
  const listSize = directive(field, 'listSize');
  const isList = isListType(getNullableType(field.type));
  if (introspection && isList) return { entries: INTROSPECTION_SIZES[field.name] ?? Object.keys(walk.schema.getTypeMap()).length, passedOn: NO_SIZES };
  if (listSize === undefined) return { entries: isList ? UNSIZED : 1, passedOn: NO_SIZES };
  const most = (listSize['maxSize'] as number | undefined) ?? MAX_PAGE;
  const size = slice(walk, field, node, (listSize['slicingArguments'] as string[] | undefined) ?? [], listSize['assumedSize'] as number | undefined, most);
  const fields = listSize['sizedFields'] as string[] | undefined;
  return fields === undefined ? { entries: size, passedOn: NO_SIZES } : { entries: 1, passedOn: { fields, size } };
}

/** Size that the slicing arguments set, their defaults included; a list argument counts its entries. */
function slice(walk: Walk, field: GraphQLField<unknown, unknown>, node: FieldNode, names: readonly string[], assumed: number | undefined, most: number): number {
  let size = 0;
  for (const name of names) {
    const argument = field.args.find((candidate) => candidate.name === name);
    const given = node.arguments?.find((candidate) => candidate.name.value === name)?.value;
    let value: unknown = argument?.defaultValue;
    if (given?.kind === Kind.VARIABLE) value = walk.variables[given.name.value] ?? value;
    else if (given?.kind === Kind.INT) value = Number(given.value);
    else if (given?.kind === Kind.LIST) value = given.values;
    const count = Array.isArray(value) ? value.length : value;
    size = Math.max(size, typeof count === 'number' && Number.isFinite(count) ? count : most);
  }
  return Math.max(1, Math.min(names.length === 0 ? (assumed ?? UNSIZED) : size, most));
}

const directiveValues = new WeakMap<GraphQLField<unknown, unknown>, Map<string, Record<string, unknown> | undefined>>();

/** Values of a directive on a field of the schema, read once. */
function directive(field: GraphQLField<unknown, unknown>, name: 'cost' | 'listSize'): Record<string, unknown> | undefined {
  const known = directiveValues.get(field) ?? new Map<string, Record<string, unknown> | undefined>();
  directiveValues.set(field, known);
  if (!known.has(name)) known.set(name, field.astNode?.directives === undefined ? undefined : readDirective(field, name));
  return known.get(name);
}

function readDirective(field: GraphQLField<unknown, unknown>, name: string): Record<string, unknown> | undefined {
  const node = field.astNode?.directives?.find((candidate) => candidate.name.value === name);
  if (node === undefined) return undefined;
  const values: Record<string, unknown> = {};
  for (const argument of node.arguments ?? []) {
    const { value } = argument;
    if (value.kind === Kind.INT) values[argument.name.value] = Number(value.value);
    if (value.kind === Kind.LIST) values[argument.name.value] = value.values.map((entry) => (entry.kind === Kind.STRING ? entry.value : ''));
  }
  return values;
}

function add(a: OperationMeasure, b: OperationMeasure): OperationMeasure {
  return {
    depth: Math.max(a.depth, b.depth),
    aliases: a.aliases + b.aliases,
    cost: a.cost + b.cost,
    rootFields: a.rootFields + b.rootFields,
    directives: a.directives + b.directives,
    introspection: a.introspection + b.introspection,
    nodes: a.nodes + b.nodes,
  };
}

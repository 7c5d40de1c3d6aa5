import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { buildSchema } from 'graphql';
import { changesBetween } from '../../scripts/contractChanges.ts';
import { readSchema } from '../../src/graphql/schema.ts';

const released = await readFile(new URL('../fixtures/schema.released.graphql', import.meta.url), 'utf8');

/** Additions that are safe for clients that follow the contract: enum values that only come where a client asked for them. */
const EXPECTED_DANGERS: ReadonlySet<string> = new Set(['VALUE_ADDED_TO_ENUM', 'OPTIONAL_INPUT_FIELD_ADDED', 'OPTIONAL_ARG_ADDED', 'IMPLEMENTED_INTERFACE_ADDED']);

test('the contract breaks nothing of the released one that was not deprecated there', async () => {
  const { breaking, dangerous } = changesBetween(buildSchema(released), buildSchema(await readSchema()));
  assert.deepEqual(breaking, []);
  assert.deepEqual(dangerous.filter(({ type }) => !EXPECTED_DANGERS.has(type)), []);
});

const OLD = `
  enum Way { UP DOWN OLD @deprecated(reason: "Use UP.") }
  input Filter { low: Int, gone: Int @deprecated(reason: "Use low.") }
  type Query {
    kept(first: Int = 3, dropped: Int @deprecated(reason: "Does nothing.")): Int
    gone: Int @deprecated(reason: "Use kept.")
    way: Way
    list(filter: Filter): [Int!]!
  }`;
const kinds = (current: string): Record<string, string[]> => {
  const found = changesBetween(buildSchema(OLD), buildSchema(current));
  return Object.fromEntries(Object.entries(found).map(([name, changes]) => [name, (changes as { type: string }[]).map(({ type }) => type).sort()]));
};

test('what was deprecated may go; what was not, may not', () => {
  const gone = OLD.replace(' OLD @deprecated(reason: "Use UP.")', '').replace(', gone: Int @deprecated(reason: "Use low.")', '').replace(', dropped: Int @deprecated(reason: "Does nothing.")', '').replace('gone: Int @deprecated(reason: "Use kept.")', '');
  assert.deepEqual(kinds(gone), { breaking: [], announced: ['ARG_REMOVED', 'FIELD_REMOVED', 'FIELD_REMOVED', 'VALUE_REMOVED_FROM_ENUM'], dangerous: [] });
  for (const [from, to, kind] of [
    ['UP DOWN', 'UP', 'VALUE_REMOVED_FROM_ENUM'],
    ['way: Way', '', 'FIELD_REMOVED'],
    ['way: Way', 'way: String, other: Way', 'FIELD_CHANGED_KIND'],
    ['[Int!]!', '[Int!]', 'FIELD_CHANGED_KIND'],
    ['low: Int', 'low: Int, must: Int!', 'REQUIRED_INPUT_FIELD_ADDED'],
    ['first: Int = 3', 'first: String', 'ARG_CHANGED_KIND'],
    ['gone: Int @deprecated(reason: "Use kept.")', 'gone: String', 'FIELD_CHANGED_KIND'],
  ] as const) {
    const { breaking } = kinds(OLD.replace(from, to));
    assert.ok(breaking!.includes(kind), `${from} → ${to}: ${breaking!.join()}`);
  }
});

test('additions that may surprise are named, others are not', () => {
  assert.deepEqual(kinds(OLD.replace('UP DOWN', 'UP DOWN SIDE')), { breaking: [], announced: [], dangerous: ['VALUE_ADDED_TO_ENUM'] });
  assert.deepEqual(kinds(OLD.replace('first: Int = 3', 'first: Int = 4')).dangerous, ['ARG_DEFAULT_VALUE_CHANGE']);
  assert.deepEqual(kinds(OLD.replace('way: Way', 'way: Way, more: Int')), { breaking: [], announced: [], dangerous: [] });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuery } from '../../../src/adapters/prisma/searchQuery.ts';

const TABLE: readonly (readonly [typed: string, text: string, words: readonly string[], excluded: string, endsInWord: boolean])[] = [
  ['', '', [], '', false],
  ['Closing paren', 'closing paren', ['closing', 'paren'], '', true],
  ['closing paren ', 'closing paren', ['closing', 'paren'], '', false],
  ['"two words"', '"two words"', ['two', 'words'], '', false],
  ['"open phrase', '"open phrase"', ['open', 'phrase'], '', false],
  ['"one" two', 'one two', ['one', 'two'], '', true],
  ['a -b', 'a -b', ['a'], '-b', false],
  ['-b a', '-b a', ['a'], '-b', true],
  ['a -"b c" -d', 'a -"b c" -d', ['a'], '-"b c" -d', false],
  ['a.b -c.d', 'a b -"c d"', ['a', 'b'], '-"c d"', false],
  ['a-b', 'a b', ['a', 'b'], '', true],
  ['a or b', 'a or b', ['a', 'b'], '', true],
  ['or', 'or', ['or'], '', true],
  ["don't", 'don t', ['don', 't'], '', true],
  ['(x) & | ! <->', 'x', ['x'], '', false],
  ['foo:*', 'foo', ['foo'], '', false],
  ['Größe 東京', 'größe 東京', ['größe', '東京'], '', true],
  [`a ${'x'.repeat(65)}`, 'a', ['a'], '', false],
];

test('queries are read as typed', () => {
  for (const [typed, text, words, excluded, endsInWord] of TABLE) assert.deepEqual(parseQuery(typed), { text, words, excluded, endsInWord }, typed);
});

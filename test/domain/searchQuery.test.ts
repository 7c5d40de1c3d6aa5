import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuery } from '../../src/domain/searchQuery.ts';

/** Typed; alternatives, each as its required entries, then its excluded ones after a minus; words; how it ends. */
const TABLE: readonly (readonly [typed: string, alternatives: readonly string[], words: string, end: '' | 'word' | 'star'])[] = [
  ['', [], '', ''],
  ['Closing paren', ['closing, paren'], 'closing paren', 'word'],
  ['closing paren ', ['closing, paren'], 'closing paren', ''],
  ['closing paren*', ['closing, paren'], 'closing paren', 'star'],
  ['closing paren* ', ['closing, paren'], 'closing paren', 'star'],
  ['clos* paren', ['clos, paren'], 'clos paren', 'word'],
  ['"two words"', ['two words'], 'two words', ''],
  ['"open phrase', ['open phrase'], 'open phrase', ''],
  ['"one" two', ['one, two'], 'one two', 'word'],
  ['a -b', ['a -b'], 'a', ''],
  ['-b a', ['a -b'], 'a', 'word'],
  ['a -"b c" -d', ['a -b c -d'], 'a', ''],
  ['a.b -c.d', ['a, b -c d'], 'a b', ''],
  ['a-b', ['a, b'], 'a b', 'word'],
  ['a b or c -d', ['a, b', 'c -d'], 'a b c', ''],
  ['a OR -b', ['a'], 'a', ''],
  ['a or', ['a'], 'a', ''],
  ['or', ['or'], 'or', 'word'],
  ['"or"', ['or'], 'or', ''],
  ['a a', ['a, a'], 'a', 'word'],
  ["don't", ['don, t'], 'don t', 'word'],
  ['(x) & | ! <->', ['x'], 'x', ''],
  ['foo:*', ['foo'], 'foo', ''],
  ['Größe 東京', ['größe, 東京'], 'größe 東京', 'word'],
  [`a ${'x'.repeat(65)}`, ['a'], 'a', ''],
];

test('queries are read as typed', () => {
  for (const [typed, alternatives, words, end] of TABLE) {
    const query = parseQuery(typed);
    const read = query.alternatives.map(({ required, excluded }) => [required.map((entry) => entry.join(' ')).join(', '), ...excluded.map((entry) => `-${entry.join(' ')}`)].join(' '));
    assert.deepEqual([read, query.words.join(' '), query.star ? 'star' : query.endsInWord ? 'word' : ''], [alternatives, words, end], typed);
  }
});

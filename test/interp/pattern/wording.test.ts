import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AloneTable } from '../../../src/interp/pattern/aloneTable.ts';
import { sharedClass } from '../../../src/interp/pattern/tokenClass.ts';
import { tokenPhrase } from '../../../src/interp/pattern/tokenPhrase.ts';
import { tokenWording } from '../../../src/interp/pattern/tokenWording.ts';
import { Variants } from '../../../src/interp/pattern/variants.ts';

const even = (...texts: string[]): { text: string; weight: number }[] => texts.map((text) => ({ text, weight: 1 }));

test('tokens are written as a reader can search them', () => {
  assert.equal(tokenWording(' don'), '" don"');
  assert.equal(tokenWording('"'), `'"'`);
  assert.equal(tokenWording('\n'), 'a line break');
  assert.equal(tokenWording('   '), 'spaces');
  assert.equal(tokenWording('\uFFFD'), null);
  assert.equal(tokenWording('a\u0001'), null);
});

test('classes need nearly all of the weight and four different words', () => {
  assert.equal(sharedClass(even(' 1', ' 22', '3', ' 1999')), 'numbers');
  assert.equal(sharedClass(even(' 1', ' 22', '3')), null);
  assert.equal(sharedClass(even(' walking', ' singing', ' reading', ' being')), 'words ending in "ing"');
  assert.equal(sharedClass(even(' unable', ' unsafe', ' until', ' under')), 'words beginning with "un"');
  assert.equal(sharedClass(even('.', ',', ' —', '!')), 'punctuation');
  assert.equal(sharedClass(even(' Anna', ' Bob', 'Paris', ' Rome')), 'capitalised words');
  assert.equal(sharedClass(even(' Anna', ' dog', 'Paris', ' 12')), null);
});

test('spellings of one word are named once', () => {
  assert.equal(tokenPhrase(even(' the', 'The', 'the'), 4), '"the"');
  assert.equal(tokenPhrase(even(' to', ' from'), 4), '" to" or " from"');
  assert.equal(tokenPhrase(even(' a', ' dog', '!', ' 12', 'Zed'), 2), '" a", " dog" and 3 other tokens');
  assert.equal(tokenPhrase(even('\uFFFD'), 2), null);
});

test('variants are other spellings, never white space', () => {
  const variants = new Variants([' the', 'The', 'cat', ' ', '\n', 'the', '\uFFFD', '\uFFFD']);
  assert.deepEqual(variants.of(0), [1, 5]);
  assert.deepEqual(variants.of(2), []);
  assert.deepEqual(variants.of(3), []);
  assert.deepEqual(variants.of(6), []);
});

test('the single-token table keeps the strongest and counts all', () => {
  const table = new AloneTable(2);
  for (let token = 0; token < 50; token++) table.add(token, [3, 8], [(token * 7) % 50, 1]);
  assert.deepEqual(table.of(3).map((t) => t.value), [49, 48]);
  assert.deepEqual(table.of(8).map((t) => t.token), [0, 1]);
  assert.equal(table.fired(8), 50);
  assert.deepEqual(table.of(4), []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDocument } from '../../src/corpus/document.ts';
import { fill } from '../../src/corpus/fill.ts';
import { HELD_OUT_NAMES, PEOPLE, TRAINING_NAMES } from '../../src/corpus/names.ts';
import { meeting } from '../../src/corpus/meeting.ts';
import { story } from '../../src/corpus/story.ts';
import { WORDS } from '../../src/corpus/words.ts';
import { Rng } from '../../src/math/rng.ts';

test('documents depend on the seed alone', () => {
  const write = (seed: number): string[] => {
    const rng = new Rng(seed);
    return Array.from({ length: 50 }, () => generateDocument(rng));
  };
  assert.deepEqual(write(3), write(3));
  assert.notDeepEqual(write(3), write(4));
});

test('no slot is left unfilled and no article is wrong', () => {
  const rng = new Rng(5);
  for (let i = 0; i < 5000; i++) {
    const text = i % 3 === 2 ? meeting(rng) : generateDocument(rng, i % 3 === 0 ? 'train' : 'heldout');
    assert.doesNotMatch(text, /[{}]|undefined/);
    assert.doesNotMatch(text, /\ba [aeio]/i, text);
  }
});

test('parentheses and double quotes are balanced', () => {
  const rng = new Rng(6);
  let parentheses = 0;
  let nested = 0;
  for (let i = 0; i < 4000; i++) {
    const text = generateDocument(rng);
    let depth = 0;
    for (const ch of text) {
      if (ch === '(') depth++;
      if (ch === ')') depth--;
      if (ch === '(') parentheses++;
      if (depth === 2 && ch === '(') nested++;
      assert.ok(depth >= 0, text);
    }
    assert.equal(depth, 0, text);
    assert.equal((text.match(/"/g) ?? []).length % 2, 0, text);
  }
  assert.ok(parentheses > 500 && nested > 20, `${parentheses} parentheses, ${nested} nested`);
});

test('names: a hundred distinct, one in five held out, held-out ones occur in stories', () => {
  assert.equal(new Set(PEOPLE.map((person) => person.name)).size, 100);
  assert.equal(HELD_OUT_NAMES.length, 20);
  assert.deepEqual(
    [...HELD_OUT_NAMES, ...TRAINING_NAMES].sort(),
    PEOPLE.map((person) => person.name).sort(),
  );
  const rng = new Rng(7);
  const stories = Array.from({ length: 1500 }, () => story(rng)).join(' ');
  for (const name of HELD_OUT_NAMES) assert.match(stories, new RegExp(`\\b${name}\\b`));
});

test('fill: the same slot gives the same word, a numbered slot its own', () => {
  const filled = fill(new Rng(8), '{gift} {gift} {x}', { x: 'y' });
  const [first, second, bound] = filled.split(' ');
  assert.equal(first, second);
  assert.ok(WORDS['gift']!.includes(first!));
  assert.equal(bound, 'y');
  assert.throws(() => fill(new Rng(8), '{nothing}'), /slot \{nothing\}/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDocument } from '../../src/corpus/document.ts';
import { IOI_TEMPLATES, ioiPrompt, isHeldOutCombination } from '../../src/corpus/ioi.ts';
import { meeting } from '../../src/corpus/meeting.ts';
import { HELD_OUT_NAMES, PEOPLE, TRAINING_NAMES } from '../../src/corpus/names.ts';
import { Rng } from '../../src/math/rng.ts';

const count = (text: string, name: string): number => (text.match(new RegExp(` ${name}\\b`, 'g')) ?? []).length;

test('the answer stands once in the prompt, the distractor twice and last', () => {
  const rng = new Rng(1);
  const orders = { ABBA: 0, BABA: 0 };
  const templates = new Set<string>();
  for (let i = 0; i < 8000; i++) {
    const { prompt, answer, distractor, order, opening, action } = ioiPrompt(rng);
    const [io, s] = [answer.slice(1), distractor.slice(1)];
    assert.equal(answer, ` ${io}`);
    assert.equal(count(prompt, io), 1, prompt);
    assert.equal(count(prompt, s), 2, prompt);
    const places = prompt.split(/\W+/).filter((word) => word === io || word === s);
    assert.deepEqual(places, order === 'ABBA' ? [io, s, s] : [s, io, s], prompt);
    assert.match(prompt, / (to|for)$/);
    orders[order]++;
    templates.add(`${opening}/${action}`);
  }
  assert.ok(Math.min(orders.ABBA, orders.BABA) > 3700, JSON.stringify(orders));
  assert.equal(templates.size, IOI_TEMPLATES.openings * IOI_TEMPLATES.actions);
});

test('held-out names stay out of the indirect-object sentences of training text', () => {
  // The sentence's own mark: a giving verb, then "to" or "for" and a name. Nobody held out receives anything.
  const rng = new Rng(2);
  let seen = 0;
  for (let i = 0; i < 6000; i++) {
    const text = generateDocument(rng, 'train');
    for (const sentence of text.split(/(?<=\.)\s/)) {
      const match = / (gave|handed|passed|offered|sent|brought|sold|lent|threw|returned|promised|bought|found|read|wrote) [^."()]* (to|for) ([A-Z][a-z]+)/.exec(sentence);
      if (!match) continue;
      seen++;
      assert.ok(!HELD_OUT_NAMES.includes(match[3]!), sentence);
    }
  }
  assert.ok(seen > 3000, `only ${seen} sentences`);
});

test('meetings name held-out people, but no named person gives a named person anything', () => {
  const rng = new Rng(5);
  const isName = (word: string): boolean => PEOPLE.some((person) => person.name === word);
  const seen = new Set<string>();
  for (let i = 0; i < 5000; i++) {
    for (const sentence of meeting(rng).split(/(?<=\.)\s/)) {
      const words = sentence.split(/[^A-Za-z]+/);
      for (const word of words) if (HELD_OUT_NAMES.includes(word)) seen.add(word);
      const at = words.findIndex((word, n) => (word === 'to' || word === 'for') && isName(words[n + 1] ?? ''));
      if (at < 0) continue;
      assert.equal(new Set(words.filter(isName)).size, 1, sentence);
    }
  }
  assert.equal(seen.size, HELD_OUT_NAMES.length);
});

test('held-out combinations never occur in training prompts and always in held-out ones; about one in ten is held out', () => {
  const rng = new Rng(3);
  let heldOut = 0;
  for (let i = 0; i < 5000; i++) {
    for (const combinations of ['train', 'heldout', 'any'] as const) {
      const { answer, distractor, opening, action } = ioiPrompt(rng, { combinations });
      const held = isHeldOutCombination(answer.slice(1), distractor.slice(1), opening, action);
      if (combinations === 'any') heldOut += Number(held);
      else assert.equal(held, combinations === 'heldout');
    }
  }
  assert.ok(Math.abs(heldOut / 5000 - 0.1) < 0.02, String(heldOut));
});

test('the pool of names is respected, and one name is not enough', () => {
  const rng = new Rng(4);
  for (let i = 0; i < 500; i++) {
    const { answer, distractor } = ioiPrompt(rng, { names: HELD_OUT_NAMES });
    assert.ok(HELD_OUT_NAMES.includes(answer.slice(1)) && HELD_OUT_NAMES.includes(distractor.slice(1)));
    assert.ok(!TRAINING_NAMES.includes(answer.slice(1)));
  }
  assert.throws(() => ioiPrompt(rng, { names: ['Mary', 'Mary'] }), /two distinct names/);
});

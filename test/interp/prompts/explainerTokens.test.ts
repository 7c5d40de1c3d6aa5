import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exemplar } from '../../../src/domain/feature.ts';
import { explainSubject } from '../../../src/interp/prompts/explainSubject.ts';
import { showFragment } from '../../../src/interp/prompts/showFragment.ts';
import type { TokenWording } from '../../../src/interp/prompts/showFragment.ts';
import { shownText } from '../../../src/interp/prompts/shownText.ts';
import { Rng } from '../../../src/math/rng.ts';

/** A byte-level vocabulary: id = byte; 256 separates documents; 257 has no text. */
const bytes: TokenWording = {
  token: (id) => bytes.decode([id]),
  decode: (ids) => Array.from(ids).reduce((text, id) => text + (id === 256 ? '<|endoftext|>' : ''), Buffer.from(Array.from(ids).filter((id) => id < 256)).toString('utf8')),
  separators: new Set([256]),
};

/** A SentencePiece-like vocabulary: words begin with a space, but not at the beginning of a text. */
const WORDS = ['▁big', '▁red', 's', '▁dog'];
const pieces: TokenWording = {
  token: (id) => pieces.decode([id]),
  decode: (ids) => Array.from(ids, (id) => WORDS[id].replace('▁', ' ')).join('').replace(/^ /u, ''),
  separators: new Set(),
};

test('odd characters are written so that nothing is taken for something else', () => {
  const cases: readonly (readonly [string, string])[] = [
    [' book', ' book'],
    ['\n\n\t\r', '\\n\\n\\t\\r'],
    ['C:\\new', 'C:\\\\new'],
    ['«x»', '\\«x\\»'],
    ['a\uFFFDb', 'a\\{bytes}b'],
    ['\u0000\u200b\u00a0\u2028\ufeff', '\\u{0}\\u{200b}\\u{a0}\\u{2028}\\u{feff}'],
    ['\u202etxt', '\\u{202e}txt'],
    ['<|im_end|>', '\\u{3c}|im_end|>'],
    ['</s><s>', '\\u{3c}/s>\\u{3c}s>'],
    ['[INST] <b>', '\\u{5b}INST] <b>'],
    ['</think>', '\\u{3c}/think>'],
    ['<｜User｜><bos></tool_call>', '\\u{3c}｜User｜>\\u{3c}bos>\\u{3c}/tool_call>'],
    ['[SYSTEM_PROMPT] [/INST] <<SYS>>', '\\u{5b}SYSTEM_PROMPT] \\u{5b}/INST] \\u{3c}<SYS>>'],
    ['naïve 日本 😀', 'naïve 日本 😀'],
  ];
  for (const [text, shown] of cases) assert.equal(shownText(text), shown);
});

test('property: the text can be had back from what is shown, and two texts never look the same', () => {
  const alphabet = ['\\', 'n', 'u', '{', '}', 'b', 'ytes', '«', '»', '\n', '\t', '\u200b', '3c', '<', '|', 's>', '/', ' ', 'é', '\ud800'];
  const back = (shown: string): string => shown.replaceAll(/\\(?:u\{([\da-f]+)\}|([\\nrt«»]))/gu, (_, code?: string, short?: string) =>
    code === undefined ? ({ n: '\n', r: '\r', t: '\t' }[short!] ?? short!) : String.fromCodePoint(Number.parseInt(code, 16)));
  for (let seed = 0; seed < 500; seed++) {
    const rng = new Rng(seed);
    const text = Array.from({ length: rng.int(8) }, () => rng.pick(alphabet)).join('');
    const shown = shownText(text);
    assert.equal(back(shown), text, `seed ${seed}`);
    assert.doesNotMatch(shown, /[\n\t\r]|<\||<\/?s>/u);
  }
});

test('bytes of one character are shown as the character, with the highest of their levels', () => {
  const ids = [...Buffer.from('a€😀b')];
  const levels = ids.map((_, i) => i);
  assert.deepEqual(showFragment(ids, levels, bytes), [{ text: 'a', level: 0 }, { text: '€', level: 3 }, { text: '😀', level: 7 }, { text: 'b', level: 8 }]);
});

test('bytes that are no character are shown one by one as such; separators and empty tokens by name', () => {
  const shown = showFragment([0x80, 0x41, 0xe2, 256, 257], [1, 2, 3, 4, 5], bytes);
  assert.deepEqual(shown.map(({ text }) => text), ['\\{bytes}', 'A', '\\{bytes}', '\\{new document}', '\\{nothing}']);
  assert.deepEqual(shown.map(({ level }) => level), [1, 2, 3, 4, 5]);
});

test('a token keeps the space that a SentencePiece vocabulary shows only inside a text', () => {
  assert.deepEqual(showFragment([0, 1, 3, 2, 0], [0, 0, 0, 0, 0], pieces).map(({ text }) => text), ['big', ' red', ' dog', 's', ' big']);
});

function exemplar(rank: number, ids: readonly number[], activations: readonly number[]): Exemplar {
  return { kind: 'top', rank, row: rank, start: 0, ids, activations, maxActivation: Math.max(...activations) };
}

const ABC = [0x41, 0x42, 0x43];
const none = { topLogits: [], bottomLogits: [] };

test('levels are min(10, floor(10·a/max)), with the maximum over the fragments shown', () => {
  const fragments = [exemplar(0, ABC, [0, 7.9, 8]), exemplar(1, ABC, [0.79, 0.8, 4]), exemplar(2, ABC, [16, 0, 1])];
  const two = explainSubject({ fragments, ...none }, bytes, { maxFragments: 2, undecodable: 'escape' });
  assert.ok('fragments' in two);
  assert.deepEqual(two.fragments.map((f) => f.map(({ level }) => level)), [[0, 9, 10], [0, 1, 5]]);
  const three = explainSubject({ fragments, ...none }, bytes, { maxFragments: 3, undecodable: 'escape' });
  assert.ok('fragments' in three);
  assert.deepEqual(three.fragments.map((f) => f.map(({ level }) => level)), [[0, 4, 5], [0, 0, 2], [10, 0, 0]]);
});

test('a fragment that is not valid text is left out where the protocol says so, and takes its maximum with it', () => {
  const fragments = [exemplar(0, [0x41, 0x80], [0, 20]), exemplar(1, ABC, [0, 0, 4])];
  const paper = explainSubject({ fragments, ...none }, bytes, { maxFragments: 5, undecodable: 'leave-out' });
  assert.ok('fragments' in paper);
  assert.deepEqual(paper.fragments.map((f) => f.map(({ level }) => level)), [[0, 0, 10]]);
  const shown = explainSubject({ fragments, ...none }, bytes, { maxFragments: 5, undecodable: 'escape' });
  assert.ok('fragments' in shown);
  assert.deepEqual(shown.fragments.map((f) => f.map(({ text, level }) => `${text}=${level}`)), [['A=0', '\\{bytes}=10'], ['A=0', 'B=0', 'C=2']]);
  assert.deepEqual(explainSubject({ fragments: fragments.slice(0, 1), ...none }, bytes, { maxFragments: 5, undecodable: 'leave-out' }), { bad: 'no explanation fragment is valid text' });
});

test('a left-out fragment makes room for the next', () => {
  const fragments = [exemplar(0, [0x80], [9]), exemplar(1, ABC, [0, 0, 4]), exemplar(2, ABC, [0, 2, 0])];
  const subject = explainSubject({ fragments, ...none }, bytes, { maxFragments: 2, undecodable: 'leave-out' });
  assert.ok('fragments' in subject);
  assert.equal(subject.fragments.length, 2);
});

test('silence, and no fragments at all, are said as such', () => {
  for (const fragments of [[], [exemplar(0, ABC, [0, 0, 0])], [exemplar(0, ABC, [-1, -2, 0])]]) {
    assert.deepEqual(explainSubject({ fragments, ...none }, bytes, { maxFragments: 5, undecodable: 'leave-out' }), { bad: 'no activation in the explanation fragments' });
  }
});

test('output tokens that cannot be shown are left out', () => {
  const topLogits = [0x80, 256, 0x20, 0x41, 0xab, 0x42].map((id, i) => ({ id, value: 9 - i }));
  const subject = explainSubject({ fragments: [exemplar(0, ABC, [0, 0, 1])], topLogits, bottomLogits: [] }, bytes, { maxFragments: 5, undecodable: 'escape' });
  assert.ok('promoted' in subject);
  assert.deepEqual(subject.promoted, ['A', 'B']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainSubject } from '../../../src/interp/prompts/explainSubject.ts';
import { FEW_SHOT_FEATURES } from '../../../src/interp/prompts/fewShotFeatures.ts';
import { markedFragment } from '../../../src/interp/prompts/markedFragment.ts';
import { EXPLAIN_PROMPTS, isLlmMethod, LLM_METHODS } from '../../../src/interp/prompts/methods.ts';
import { shownText } from '../../../src/interp/prompts/shownText.ts';
import { isSparse, tokenActPair } from '../../../src/interp/prompts/tokenActPair.ts';
import { promptHash } from '../../../src/pipelines/llmExplainer.ts';

/** The text that each version stands for. A prompt whose text has changed needs a new version, and a new line here. */
const TEXTS: Readonly<Record<string, string>> = {
  'token-act-pair-v1': '4b3471aef84961835ba582dcd28cec20019a74ee91151629f6af7535cd0d3897',
  'max-act-v1': '702bb181cc1f727cc0365bdafa115d9ef18172b19aad03a1fc50a06342d7d994',
  'max-act-logits-v1': '176891393fd640be34afdada72b35eb12f55914e7dd50f6c8d66d79788f8661f',
};

test('a version names one text for ever', () => {
  const now = Object.fromEntries(LLM_METHODS.map((method) => [EXPLAIN_PROMPTS[method].version, promptHash(EXPLAIN_PROMPTS[method])]));
  assert.deepEqual(now, TEXTS, 'the text of a prompt changed: give it a new version, and add the version with its hash here');
});

test('methods are told by name', () => {
  assert.deepEqual([...LLM_METHODS], ['token-act-pair', 'max-act', 'max-act-logits']);
  assert.ok(isLlmMethod('max-act'));
  assert.ok(!isLlmMethod('pattern'));
});

test('at least three examples are shown, each in the way of the question, with the answer as the assistant gave it', () => {
  const subject: ExplainSubject = { fragments: [[{ text: 'x', level: 10 }]], promoted: [], suppressed: [] };
  for (const method of LLM_METHODS) {
    const messages = EXPLAIN_PROMPTS[method].render(subject);
    assert.deepEqual(messages.map(({ role }) => role), ['system', ...FEW_SHOT_FEATURES.flatMap(() => ['user', 'assistant']), 'user']);
    assert.ok(FEW_SHOT_FEATURES.length >= 3);
    for (const [i, { content }] of messages.entries()) if (messages[i].role === 'user') assert.ok(content.endsWith(`\n${EXPLAIN_PROMPTS[method].beginning}`));
  }
});

test('what the examples show is written as fragments are', () => {
  for (const { fragments, promoted, suppressed, description } of FEW_SHOT_FEATURES) {
    for (const text of [...fragments.flat().map((token) => token.text), ...promoted, ...suppressed]) assert.equal(shownText(text), text);
    assert.equal(Math.max(...fragments.flat().map(({ level }) => level)), 10);
    assert.ok(description.length < 100);
  }
});

function levels(...all: readonly number[]): ExplainSubject {
  return { fragments: [all.map((level, i) => ({ text: ` t${i}`, level }))], promoted: [], suppressed: [] };
}

test('one line a token with its level, between marks', () => {
  const content = tokenActPair.render(levels(0, 3, 10)).at(-1)!.content;
  assert.match(content, /^Feature 5\n<start>\n t0\t0\n t1\t3\n t2\t10\n<end>\n\nThis feature is active on$/u);
});

test('below a fifth of levels above zero the fragments are repeated without zeros; at a fifth they are not', () => {
  const one = (zeros: number): ExplainSubject => levels(...Array.from({ length: zeros }, () => 0), 10);
  assert.ok(!isSparse(one(4).fragments), '1 of 5 is a fifth');
  assert.ok(isSparse(one(5).fragments), '1 of 6 is less');
  // 2 of 10 over two fragments: the share is of all fragments together.
  assert.ok(!isSparse([...one(7).fragments, ...levels(10, 0).fragments]));
  assert.doesNotMatch(tokenActPair.render(one(4)).at(-1)!.content, /not 0/u);
  assert.match(tokenActPair.render(one(5)).at(-1)!.content, /<end>\n\nThe same fragments, only the tokens that are not 0:\n<start>\n t5\t10\n<end>\n\nThis feature/u);
});

test('the 64 tokens of a fragment with 12 above zero are repeated, with 13 they are not', () => {
  const active = (n: number): ExplainSubject => levels(...Array.from({ length: 64 }, (_, i) => (i < n ? 1 : 0)));
  assert.ok(isSparse(active(12).fragments));
  assert.ok(!isSparse(active(13).fragments));
});

test('active tokens are marked from level 3 on, neighbours together, and the strongest is named with its neighbours', () => {
  const tokens = [['a', 0], [' b', 2], [' c', 3], [' d', 9], [' e', 0], [' f', 10]].map(([text, level]) => ({ text: String(text), level: Number(level) }));
  assert.equal(markedFragment(tokens, 2), 'Text 2: a b« c d» e« f»\nStrongest: « f». Just before it: « e». Just after it: nothing.');
  assert.equal(markedFragment(tokens.slice(0, 2), 1), 'Text 1: a« b»\nStrongest: « b». Just before it: «a». Just after it: nothing.');
  assert.equal(markedFragment(tokens.slice(0, 1), 1), 'Text 1: a\nStrongest: nothing.');
});

test('a reserved word that two tokens make together is broken where they meet', () => {
  const tokens = ['<', '|im_end|>', '</', 's>'].map((text, i) => ({ text, level: i === 3 ? 10 : 0 }));
  assert.equal(markedFragment(tokens, 1).split('\n')[0], 'Text 1: \\u{3c}|im_end|></«s>»');
  assert.equal(markedFragment(tokens.map(({ text }) => ({ text, level: 10 })), 1).split('\n')[0], 'Text 1: «\\u{3c}|im_end|>\\u{3c}/s>»');
});

test('output tokens are listed, or said to be unknown', () => {
  const messages = EXPLAIN_PROMPTS['max-act-logits'].render({ ...levels(10), promoted: [' book', ' cup'], suppressed: [] });
  assert.match(messages.at(-1)!.content, /\nLikelier next: « book», « cup»\nLess likely next: not known\n\nPhrase:$/u);
});

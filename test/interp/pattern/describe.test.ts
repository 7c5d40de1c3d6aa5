import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe } from '../../../src/interp/pattern/describe.ts';
import type { Findings } from '../../../src/interp/pattern/describe.ts';
import type { Salient } from '../../../src/interp/pattern/saliency.ts';
import type { Target } from '../../../src/interp/pattern/targets.ts';

const TEXTS = ['<|end|>', ' to', ' gave', ' Mary', ' John', '\uFFFD', ' a'.repeat(90)];
const wording = { token: (id: number): string => TEXTS[id], decode: (ids: readonly number[]): string => ids.map((id) => TEXTS[id]).join('') };

function target(tokens: readonly number[], activation = 1): Target {
  return { feature: 0, max: 1, activation, tokens, startsDocument: false, rowPosition: 50 };
}
function salient(tokens: readonly number[], literals: readonly number[], activation = 1): Salient {
  return { pruned: { target: target(tokens, activation), tokens, base: 1 }, importance: tokens.map(() => 1), literals };
}
function findings(part: Partial<Findings>): Findings {
  return { salient: [], unexplained: [], alone: [], documentStart: 0, topLogits: [], longestContext: 14, ...part };
}

test('token, context, example and promoted tokens in one sentence', () => {
  const text = describe(findings({ salient: [salient([1, 2, 3], [0, 1])], topLogits: [{ id: 3, value: 2 }, { id: 4, value: 1 }] }), wording);
  assert.equal(text, '" to" after " gave", as in "Mary gave to"; promotes " Mary" and " John"');
});

test('says so where no tried context accounts for the activation', () => {
  assert.equal(describe(findings({ unexplained: [target([1])] }), wording), '" to" where the last 14 tokens alone do not suffice');
});

test('the separator is named in words and never listed', () => {
  assert.equal(describe(findings({ salient: [salient([0], [0])], topLogits: [{ id: 0, value: 3 }, { id: 3, value: 2 }] }), wording), 'the separator before a text; promotes " Mary"');
  assert.equal(describe(findings({ salient: [salient([1], [0])], alone: [{ token: 0, value: 9 }] }), wording), 'the token " to"');
});

test('a minor way to fire is left out, a second of weight is named', () => {
  const minor = describe(findings({ salient: [salient([1], [0], 9), salient([4, 2], [0, 1], 1)] }), wording);
  assert.match(minor, /^the token " to"(,|$)/);
  assert.doesNotMatch(minor, / or /);
  assert.match(describe(findings({ salient: [salient([1], [0], 2), salient([4, 2], [1], 1)] }), wording), /^the token " to", or text after " gave"/);
});

test('stays within 200 characters, and never shows broken glyphs', () => {
  const long = describe(findings({ salient: [salient([6, 6], [0, 1])] }), wording);
  assert.ok(long.length <= 200 && long.endsWith('…'), `${long.length} characters`);
  assert.equal(describe(findings({ salient: [salient([5], [0])] }), wording), 'tokens that cannot be shown as text');
});

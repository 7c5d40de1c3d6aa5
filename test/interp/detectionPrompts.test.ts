import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { detectionOnePrompt, detectionPrompt } from '../../src/interp/prompts/detection.ts';
import { readLabels } from '../../src/interp/prompts/detectionReply.ts';
import { fuzzingOnePrompt, fuzzingPrompt } from '../../src/interp/prompts/fuzzing.ts';

/** A new text needs a new version here and in the prompt's file: stored scores say which they were made with. */
const PINNED: Readonly<Record<string, string>> = {
  'detection-v1': '176cee5ec6e2853e',
  'detection-one-v1': '061c6bf85097818a',
  'fuzzing-v1': '34757aaf141d2e12',
  'fuzzing-one-v1': 'd9a3334947e8271f',
};

test('the text of every prompt belongs to its version', () => {
  const found = [detectionPrompt, detectionOnePrompt, fuzzingPrompt, fuzzingOnePrompt].map((prompt) => {
    const excerpts = prompt.version.includes('one') ? [' a b'] : [' a b', 'c\\nd'];
    return [prompt.version, createHash('sha256').update(JSON.stringify(prompt.render('the word "a"', excerpts))).digest('hex').slice(0, 16)];
  });
  assert.deepEqual(Object.fromEntries(found), PINNED);
});

test('prompts show both answers, in the form that is asked for, and the question last', () => {
  for (const prompt of [detectionPrompt, detectionOnePrompt, fuzzingPrompt, fuzzingOnePrompt]) {
    const one = prompt.version.includes('one');
    const turns = prompt.render('  what\nis asked ', ['first excerpt', ...(one ? [] : ['second excerpt'])]);
    const [system, ...rest] = turns;
    assert.equal(system.role, 'system');
    rest.forEach(({ role }, i) => assert.equal(role, i % 2 === 0 ? 'user' : 'assistant'));
    const question = rest.at(-1)!;
    assert.match(question.content, one ? /^Description: what is asked\n\nExcerpt: first excerpt$/ : /^Description: what is asked\n\nExcerpt 1: first excerpt\nExcerpt 2: second excerpt$/);
    const answers = rest.filter(({ role }) => role === 'assistant').map(({ content }) => content);
    rest.forEach(({ role, content }, i) => {
      if (role !== 'assistant') return;
      const shown = rest[i - 1].content.match(/^Excerpt/gm)!.length;
      const labels = readLabels({ text: content, tokens: null }, shown);
      assert.ok('value' in labels, content);
    });
    assert.ok(answers.some((a) => a.includes('1')) && answers.some((a) => a.includes('0')));
    assert.equal(new Set(answers).size > 1, true);
    if (prompt.version.startsWith('fuzzing')) for (const { role, content } of rest.slice(0, -1)) if (role === 'user') for (const line of content.split('\n').slice(2)) assert.match(line, /«.+»/);
  }
});

test('labels are read from what models write around them, and from nothing else', () => {
  const said = (text: string, n: number): string => {
    const read = readLabels({ text, tokens: null }, n);
    return 'bad' in read ? read.bad : read.value.map((label) => Number(label.said)).join('');
  };
  assert.equal(said('{"labels":[1,0,1]}', 3), '101');
  assert.equal(said('```json\n{\n  "labels": [\n    1,\n    0\n  ]\n}\n```', 2), '10');
  assert.equal(said('The answer is [0, 0, 1].', 3), '001');
  assert.equal(said('[1]', 1), '1');
  assert.equal(said(' 0\n', 1), '0');
  assert.equal(said('**1**', 1), '1');
  assert.equal(said('<think>\n\n</think>\n\n0', 1), '0');
  assert.equal(said('<think>Perhaps [1, 1]?</think>{"labels":[1,0]}', 2), '10');
  assert.equal(said('{"labels":[0]}', 1), '0');
  assert.equal(said('{"labels":[1,0]}', 3), 'fewer labels than excerpts');
  assert.equal(said('{"labels":[1,0,0,0]}', 3), 'more labels than excerpts');
  assert.equal(said('[1,0] or [0,1]', 2), 'more than one list');
  for (const text of ['', 'yes', '{"labels":[1,0', '[1, 2]', '[true, false]', '1 0', 'Excerpt 1', '10']) assert.equal(said(text, 2), 'no list of zeros and ones', text);
  for (const text of ['Excerpt 1', '10', '1 0', '2', 'one']) assert.equal(said(text, 1), 'no list of zeros and ones', text);
});

test('P(yes) is the share of 1 among both digits where the label stands', () => {
  const token = (text: string, offset: number, top: Record<string, number>) => ({ text, offset, logprob: Math.log(top[text] ?? 1), top: Object.entries(top).map(([t, p]) => ({ text: t, logprob: Math.log(p) })) });
  const probabilities = (text: string, tokens: ReturnType<typeof token>[] | null, n: number): (number | null)[] => {
    const read = readLabels({ text, tokens }, n);
    assert.ok('value' in read);
    return read.value.map(({ probability }) => probability);
  };
  const close = (found: number | null, expected: number): void => assert.ok(found !== null && Math.abs(found - expected) < 1e-12, `${found}`);
  const [lone] = probabilities('1', [token('1', 0, { '1': 0.6, '0': 0.2, ' 1': 0.1, yes: 0.1 })], 1);
  close(lone, 0.7 / 0.9);
  const list = [token('[', 0, { '[': 1 }), token('1', 1, { '1': 0.75, '0': 0.25 }), token(',', 2, { ',': 1 }), token(' 0', 3, { ' 0': 0.9, ' 1': 0.1 }), token(']', 5, { ']': 1 })];
  const [first, second] = probabilities('[1, 0]', list, 2);
  close(first, 0.75);
  close(second, 0.1);
  assert.deepEqual(probabilities('[1,0]', [token('[1', 0, { '[1': 0.8 }), token(',0]', 2, { ',0]': 1 })], 2), [null, null], 'a digit inside a longer token has no probability of its own');
  const [after] = probabilities('<think></think>1', [token('<think>', 0, {}), token('</think>', 7, {}), token('1', 15, { '1': 0.6, '0': 0.4 })], 1);
  close(after, 0.6);
  assert.deepEqual(probabilities('1', null, 1), [null]);
  assert.deepEqual(probabilities('1', [{ text: '1', offset: 0, logprob: 0, top: [] }], 1), [null]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markedText } from '../../../src/interp/prompts/markedText.ts';
import { showFragment } from '../../../src/interp/prompts/showFragment.ts';
import { shownText } from '../../../src/interp/prompts/shownText.ts';

/** Tokens as written in the corpus; those in a list of their own are marked. */
function marked(...tokens: readonly (string | readonly [string])[]): string {
  return markedText(tokens.map((token) => shownText(typeof token === 'string' ? token : token[0])), tokens.map((token) => typeof token !== 'string'));
}

test('runs of marked tokens stand in one pair of marks; signs of the text are told apart', () => {
  assert.equal(marked('a', [' b'], [' c'], ' d', [' e']), 'a« b c» d« e»');
  assert.equal(marked('a', 'b'), 'ab');
  assert.equal(marked(['x'], ' « 2»'), String.raw`«x» \« 2\»`);
  assert.equal(marked(' <', ['<'], ' >', '>'), ' <«<» >>', 'shifts and templates are no marks');
});

test('no mark makes or hides a reserved word', () => {
  assert.equal(marked(['<'], ['|end|>']), String.raw`«\u{3c}|end|>»`, 'across tokens');
  assert.equal(marked('<', ['s'], '>'), '<«s»>');
  assert.equal(marked(' dog', ['s']), ' dog«s»');
});

test('a mark on any part of a character is on the character', () => {
  const texts: Record<string, string> = { '0': 'a', '1': '\uFFFD', '2': '\uFFFD', '1 2': 'é', '0 1': 'a\uFFFD', '2 3': '\uFFFD!', '1 2 3': 'é!', '3': '!' };
  const wording = { token: (id: number) => texts[id], decode: (ids: ArrayLike<number>) => texts[Array.from(ids).join(' ')] ?? Array.from(ids, (id) => texts[id]).join(''), separators: new Set<number>() };
  for (const levels of [[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0]]) {
    const shown = showFragment([0, 1, 2, 3], levels, wording);
    assert.equal(markedText(shown.map(({ text }) => text), shown.map(({ level }) => level > 0)), 'a«é»!');
  }
});

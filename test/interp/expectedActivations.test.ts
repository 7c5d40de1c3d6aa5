import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { placeTokens } from '../../src/adapters/openai/placeTokens.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { expectedActivations } from '../../src/interp/expectedActivations.ts';
import type { ReadPiece } from '../../src/interp/expectedActivations.ts';
import { expectedLevel } from '../../src/interp/expectedLevel.ts';

interface Fixture {
  readings: { name: string; tokens: string[]; pieces: ReadPiece[]; expected: number[] }[];
}
const { readings } = JSON.parse(await readFile(new URL('../fixtures/interp/bills_package.json', import.meta.url), 'utf8')) as Fixture;

/** Text and rows of the form `token<tab>unknown<newline>`, after `head`. */
function rowsOf(tokens: readonly string[], head = 'Text:\n'): { text: string; rows: { line: number; unknown: number }[] } {
  let text = head;
  const rows = tokens.map((token) => {
    const line = text.length;
    text += `${token}\tunknown\n`;
    return { line, unknown: line + token.length + 1 };
  });
  return { text: `${text}(end)\n`, rows };
}

/** Pieces of `text`, cut where `cut` says (a piece per match), each expecting `level` where it holds the beginning of an "unknown". */
function piecesOf(text: string, cut: RegExp, expect: (row: number, piece: string) => ReadPiece['top'], offset = 0): ReadPiece[] {
  let row = 0;
  return [...text.matchAll(cut)].map((match) => {
    const begins = match[0].includes('unknown') || match[0].endsWith('un');
    return { text: match[0], offset: match.index + offset, top: begins ? expect(row++, match[0]) : [] };
  });
}

const sure = (level: number, prefix = ''): ReadPiece['top'] => [{ text: `${prefix}${level}`, logprob: Math.log(0.6) }, { text: 'unknown', logprob: Math.log(0.4) }];
const TOKENS = [' the', '\\n', '.', ' cat', '#'];
const LEVELS = [0, 10, 3, 7, 1];

test('expected values equal those of the published program: plain, split tokens, a folded line end', () => {
  for (const { name, tokens, pieces, expected } of readings) {
    const { text, rows } = rowsOf(tokens, '<start>\n');
    const reading = expectedActivations(text.replace('(end)', '<end>'), rows, pieces, 10);
    assert.ok('values' in reading, name);
    reading.values.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6, `${name} ${i}: expected ${expected[i]}, found ${value}`));
    assert.equal(reading.folded, name === 'folded' ? 1 : 0, name);
    assert.equal(reading.unread, 0, name);
  }
});

test('rows are found however the tokenizer parts them, and wherever offsets count from', () => {
  const { text, rows } = rowsOf(TOKENS);
  const cuts: Record<string, RegExp> = {
    'words and signs': / ?\w+|\s|[^\w\s]/g,
    'unknown in two': /un(?=known)|known| ?[a-tv-z]\w*|\s|[^\w\s]/g,
    'tab folded into unknown': /\tunknown| ?\w+|\s|[^\w\s]/g,
    'token and tab folded': /[#.]\t| ?\w+|\s|[^\w\s]/g,
    'line ends doubled': /unknown|\n\(| ?\w+|\s|[^\w\s]/g,
    'characters around unknown': /unknown|[^]/g,
  };
  for (const [name, cut] of Object.entries(cuts)) {
    for (const offset of [0, 1234]) {
      const pieces = piecesOf(text, cut, (row, piece) => sure(LEVELS[row], piece.startsWith('\t') ? '\t' : ''), offset);
      const reading = expectedActivations(text, rows, pieces, 10);
      assert.ok('values' in reading, `${name}: ${'bad' in reading ? reading.bad : ''}`);
      assert.deepEqual([...reading.values], LEVELS, name);
      assert.deepEqual([reading.folded, reading.unread], [0, 0], name);
    }
  }
});

test('a tab folded into "unknown" while numbers follow the tab on their own is read as well as it can be', () => {
  const { text, rows } = rowsOf(TOKENS);
  const pieces = piecesOf(text, /\tunknown| ?\w+|\s|[^\w\s]/g, (row) => [{ text: '\t', logprob: -0.1 }, ...sure(LEVELS[row])]);
  const reading = expectedActivations(text, rows, pieces, 10);
  assert.ok('values' in reading);
  assert.deepEqual([...reading.values], LEVELS);
});

test('rows without a level count 0 and are counted; a reading mostly without levels is refused', () => {
  const { text, rows } = rowsOf(TOKENS);
  const cut = / ?\w+|\s|[^\w\s]/g;
  const words: ReadPiece['top'] = [{ text: 'unknown', logprob: -0.01 }, { text: '11', logprob: -5 }, { text: '05', logprob: -5 }, { text: '-1', logprob: -6 }, { text: '1.5', logprob: -7 }];
  const some = expectedActivations(text, rows, piecesOf(text, cut, (row) => (row === 1 ? words : sure(LEVELS[row]))), 10);
  assert.ok('values' in some);
  assert.deepEqual([[...some.values], some.unread], [[0, 0, 3, 7, 1], 1]);
  assert.deepEqual(expectedActivations(text, rows, piecesOf(text, cut, () => words), 10), { bad: 'hardly any level among the alternatives' });
});

test('a reading of another text, or of half of it, is refused', () => {
  const { text, rows } = rowsOf(TOKENS);
  const pieces = piecesOf(text, / ?\w+|\s|[^\w\s]/g, (row) => sure(LEVELS[row]));
  assert.ok('bad' in expectedActivations(text, rows, pieces.slice(0, 12), 10));
  assert.ok('bad' in expectedActivations(text, rows, pieces.map((p) => ({ ...p, text: `${p.text}x` })), 10));
  assert.ok('bad' in expectedActivations(text, rows, [], 10));
});

test('an expected level renormalises over levels, adds blanks up and keeps to its scale', () => {
  const at = (p: number): number => Math.log(p);
  assert.equal(expectedLevel([{ text: '2', logprob: at(0.1) }, { text: ' 2', logprob: at(0.1) }, { text: '6', logprob: at(0.2) }, { text: 'x', logprob: at(0.6) }], '', 10)!.toFixed(9), '4.000000000');
  assert.equal(expectedLevel([{ text: '10', logprob: at(0.5) }, { text: '4', logprob: at(0.1) }], '', 9)!.toFixed(9), '4.000000000');
  assert.equal(expectedLevel([{ text: 'x', logprob: 0 }], '', 10), null);
  assert.equal(expectedLevel([], '', 10), null);
});

test('a byte-level tokenizer that was never made for this parts lines so that every row is read, or counted as folded', async () => {
  const tokenizer = await openTokenizer(fileURLToPath(new URL('../../models/demo', import.meta.url)));
  const tokens = ['  ', ' ', '\\n', '//', '()', ' {', '    ', 'é', ' né', '中', '\\{bytes}', ' "', '.', '::', ' 10', '0', 'unknown', ' unknown', '#', '\\t', '-', ' the'];
  const { text, rows } = rowsOf(tokens);
  const cut = Array.from(tokenizer.encode(text), (id) => ({ token: tokenizer.token(id) }));
  const { offsets, end } = placeTokens(cut, text);
  assert.equal(end, text.length);
  const pieces = cut.map(({ token }, i): ReadPiece => ({ text: token, offset: offsets[i], top: sure(7, /^\s*/.exec(token)![0]) }));
  const reading = expectedActivations(text, rows, pieces, 10);
  assert.ok('values' in reading, 'bad' in reading ? reading.bad : '');
  assert.equal(reading.unread, 0);
  assert.ok(reading.folded <= 5, `${reading.folded} folded`);
  assert.equal(reading.values.filter((value) => value === 7).length, tokens.length - reading.folded);
});

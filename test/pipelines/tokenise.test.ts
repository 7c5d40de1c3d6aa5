import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokeniseRows } from '../../src/pipelines/tokenise.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { gather } from '../helpers/gather.ts';

/** Characters as tokens; ids from 100. */
function letters(eosId: number | null, bosId: number | null = null): Tokenizer {
  return {
    hash: 'letters',
    size: 1000,
    eosId,
    bosId,
    encode: (text) => Int32Array.from(text, (ch) => 100 + ch.codePointAt(0)! - 97),
    decode: (ids) => Array.from(ids, (id) => String.fromCodePoint(id - 100 + 97)).join(''),
    token: (id) => String.fromCodePoint(id - 100 + 97),
  };
}

async function rowsOf(documents: Iterable<string>, tokenizer: Tokenizer, cols: number, maxTokens: number | null = null): Promise<string[]> {
  const chunks = await gather(tokeniseRows({ documents, tokenizer }, { cols, maxTokens }));
  const rows: string[] = [];
  for (const chunk of chunks) {
    assert.equal(chunk.length % cols, 0);
    for (let start = 0; start < chunk.length; start += cols) {
      rows.push(Array.from(chunk.subarray(start, start + cols), (id) => (id < 100 ? String(id) : tokenizer.token(id))).join(''));
    }
  }
  return rows;
}

test('every row begins with EOS, documents are joined by EOS, a torn last row is dropped', async () => {
  assert.deepEqual(await rowsOf(['abc', 'de', 'fghi', 'jk'], letters(0), 4), ['0abc', '0de0', '0fgh', '0i0j']);
});

test('without EOS the BOS separates; without both nothing does', async () => {
  assert.deepEqual(await rowsOf(['abc', 'de'], letters(null, 7), 3), ['7ab', '7c7', '7de']);
  assert.deepEqual(await rowsOf(['abc', 'de'], letters(null), 2), ['ab', 'cd']);
});

test('a limit of tokens stops reading, at a whole row', async () => {
  let taken = 0;
  const endless = function* (): Generator<string> {
    for (;;) {
      taken++;
      yield 'abcdefg';
    }
  };
  const rows = await rowsOf(endless(), letters(0), 5, 5003);
  assert.equal(rows.length, 1000);
  assert.ok(taken < 700, `${taken} documents read`);
  assert.deepEqual((await rowsOf(['abcdefg', 'abcdefg', 'abcdefg'], letters(0), 5, 11)).length, 2);
});

test('rows are handed on as they fill: no more than a chunk and a document is ever waiting', async () => {
  const ids = new Int32Array(5000).fill(100);
  const tokenizer: Tokenizer = { ...letters(0), encode: () => ids };
  let taken = 0;
  const many = function* (): Generator<string> {
    for (; taken < 2000; taken++) yield 'document';
  };
  let given = 0;
  for await (const chunk of tokeniseRows({ documents: many(), tokenizer }, { cols: 128, maxTokens: null })) {
    given += chunk.length;
    assert.ok((taken + 1) * 5001 - given <= 64 * 128 + 5001, `${taken} documents taken, ${given} tokens given`);
  }
  assert.ok(given > 2000 * 5001);
});

test('too little text is the caller’s mistake', async () => {
  await assert.rejects(rowsOf(['abc'], letters(0), 10), /the text has 5 tokens, less than one row of 10/);
  await assert.rejects(rowsOf(['abc'], letters(0), 10, 9), /limit of 9 tokens is less than one row/);
});

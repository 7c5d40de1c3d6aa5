import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openTokenizer } from '../../../src/adapters/tokenizers/openTokenizer.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Table {
  readonly texts: readonly string[];
  readonly tokenizers: Readonly<Record<string, {
    readonly size: number;
    readonly ids: readonly number[][];
    readonly special: readonly number[][] | null;
    readonly decoded: readonly string[];
    readonly cut: readonly string[];
    readonly tokens: Readonly<Record<string, string>>;
  }>>;
}

const table = JSON.parse(readFileSync(`${ROOT}test/fixtures/lm/tokenization.json`, 'utf8')) as Table;

for (const [name, expected] of Object.entries(table.tokenizers)) {
  const folder = [`${ROOT}models/${name}`, `${ROOT}../shared/models/${name}`].find((path) => existsSync(path));
  describe(`${name}: as the tokenizers library`, { skip: folder === undefined ? `no folder ${name} here` : false }, () => {
    test('ids of awkward texts', async () => {
      const tokenizer = await openTokenizer(folder!);
      const wrong = table.texts.flatMap((text, i) => {
        const found = [...tokenizer.encode(text)];
        return isEqual(found, expected.ids[i]) ? [] : [{ text, found, expected: expected.ids[i] }];
      });
      assert.deepEqual(wrong, []);
      assert.equal(tokenizer.size, expected.size);
    });

    test('ids with special tokens', async () => {
      const tokenizer = await openTokenizer(folder!);
      const wanted = expected.special ?? expected.ids;
      for (const [i, text] of table.texts.entries()) {
        assert.deepEqual([...tokenizer.encode(text, { specialTokens: true })], wanted[i], JSON.stringify(text));
      }
    });

    test('text of ids, together and one by one', async () => {
      const tokenizer = await openTokenizer(folder!);
      const wrong = expected.ids.flatMap((ids, i) => {
        const found = tokenizer.decode(ids);
        return found === expected.decoded[i] ? [] : [{ ids, found, expected: expected.decoded[i] }];
      });
      assert.deepEqual(wrong, []);
      for (const [i, ids] of expected.ids.entries()) assert.equal(tokenizer.decode(ids.slice(1, -1)), expected.cut[i], JSON.stringify(table.texts[i]));
      const oddTokens = Object.entries(expected.tokens).flatMap(([id, text]) => {
        const found = tokenizer.token(Number(id));
        return found === text ? [] : [{ id, found, expected: text }];
      });
      assert.deepEqual(oddTokens, []);
    });
  });
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

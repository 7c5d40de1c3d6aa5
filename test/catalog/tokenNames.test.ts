import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { tokenNamed } from '../../src/catalog/tokenNames.ts';

test('a name is one token, or the error says which it is and what to write instead', async () => {
  const tokenizer = await openTokenizer(resolve(import.meta.dirname, '../../models/demo'));
  const ids = Array.from({ length: tokenizer.size }, (_, id) => id);
  const isOne = (text: string): boolean => tokenizer.encode(text).length === 1 && tokenizer.token(tokenizer.encode(text)[0]) === text;
  const spaced = ids.map((id) => tokenizer.token(id)).filter((text) => /^ [A-Z][a-z]{4,}$/.test(text));
  const onlySpaced = spaced.find((text) => isOne(text) && !isOne(text.trimStart()))!;
  const name = onlySpaced.trimStart();
  assert.equal(tokenizer.token(tokenNamed(tokenizer, onlySpaced, [])), onlySpaced);
  assert.throws(
    () => tokenNamed(tokenizer, name, ['tokens', '3']),
    (error: Error & { field?: string[] }) => {
      assert.deepEqual(error.field, ['tokens', '3']);
      assert.ok(error.message.startsWith(`"${name}" is ${tokenizer.encode(name).length} tokens (`), error.message);
      assert.ok(error.message.endsWith(`: "${onlySpaced}" is one; did you mean that?`), error.message);
      return true;
    },
  );
  assert.throws(() => tokenNamed(tokenizer, `${onlySpaced}${onlySpaced}`, []), /is 2 tokens .*choose a text that is one token/);
});

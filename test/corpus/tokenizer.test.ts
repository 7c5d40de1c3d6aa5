import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tokenizer } from '@huggingface/tokenizers';
import { ioiPrompt } from '../../src/corpus/ioi.ts';
import { HELD_OUT_NAMES, PEOPLE } from '../../src/corpus/names.ts';
import { WORDS } from '../../src/corpus/words.ts';
import { Rng } from '../../src/math/rng.ts';

const folder = join(import.meta.dirname, '..', '..', 'models', 'demo');

async function demoTokenizer(): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all(['tokenizer.json', 'tokenizer_config.json'].map((name) => readFile(join(folder, name), 'utf8')));
  return new Tokenizer(JSON.parse(tokenizer!), JSON.parse(config!));
}

test("in the demo model's tokenizer each name is one token of its own, and so are the gifts and places", async () => {
  const tokenizer = await demoTokenizer();
  const idsOf = (word: string): number[] => tokenizer.encode(` ${word}`).ids;
  const ids = new Set<number>();
  for (const { name } of PEOPLE) {
    assert.equal(idsOf(name).length, 1, name);
    ids.add(idsOf(name)[0]!);
  }
  assert.equal(ids.size, PEOPLE.length);
  for (const word of [...WORDS['gift']!, ...WORDS['place']!]) assert.equal(idsOf(word).length, 1, word);
  assert.deepEqual(tokenizer.encode('<|endoftext|>').ids, [0]);
});

test('answer and distractor are one token each, and the prompt holds them as the same tokens', async () => {
  const tokenizer = await demoTokenizer();
  const rng = new Rng(11);
  for (let i = 0; i < 300; i++) {
    const { prompt, answer, distractor } = ioiPrompt(rng, i % 2 === 0 ? {} : { names: HELD_OUT_NAMES });
    const ids = tokenizer.encode(prompt).ids;
    const times = (word: string): number => {
      const [id, ...rest] = tokenizer.encode(word).ids;
      assert.equal(rest.length, 0);
      return ids.filter((other: number) => other === id).length;
    };
    assert.equal(times(answer), 1, prompt);
    assert.equal(times(distractor), 2, prompt);
  }
});

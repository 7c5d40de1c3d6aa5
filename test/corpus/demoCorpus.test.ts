import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoCorpus, splitOf, type CorpusDocument } from '../../src/corpus/demoCorpus.ts';
import { passages } from '../../src/corpus/passages.ts';
import { Rng } from '../../src/math/rng.ts';

function files(count: number): { path: string; text: string }[] {
  const rng = new Rng(1);
  return Array.from({ length: count }, (_, i) => ({ path: `package@1.0.0/file${i}.md`, text: `line ${i}\n\n`.repeat(20 + rng.int(1500)) }));
}

async function collect(split: 'train' | 'heldout', seed: number, generatedShare?: number): Promise<CorpusDocument[]> {
  const documents: CorpusDocument[] = [];
  for await (const document of demoCorpus({ seed, split, installed: files(400), ...(generatedShare === undefined ? {} : { generatedShare }) })) {
    documents.push(document);
  }
  return documents;
}

const isGenerated = (document: CorpusDocument): boolean => document.source.startsWith('generated');

test('the splits share no file, together hold every file, and about 3 % is held out', async () => {
  const pathOf = (document: CorpusDocument): string => document.source.replace(/#\d+$/, '');
  const [train, heldOut] = await Promise.all([collect('train', 1), collect('heldout', 1)]);
  const [a, b] = [train, heldOut].map((documents) => new Set(documents.filter((d) => !isGenerated(d)).map(pathOf)));
  assert.equal(a!.size + b!.size, 400);
  for (const path of b!) assert.ok(!a!.has(path));
  const many = Array.from({ length: 20000 }, (_, i) => splitOf(`p@1/${i}.ts`)).filter((split) => split === 'heldout').length;
  assert.ok(many > 450 && many < 780, String(many));
});

test('the same seed gives the same documents in the same order; another seed another order', async () => {
  assert.deepEqual(await collect('train', 1), await collect('train', 1));
  assert.notDeepEqual((await collect('train', 2)).map((d) => d.source), (await collect('train', 1)).map((d) => d.source));
});

test('the generated share holds for the whole and for a prefix', async () => {
  for (const share of [0, 0.3, 0.6]) {
    const documents = await collect('train', 1, share);
    for (const part of [documents, documents.slice(0, documents.length >> 2)]) {
      const characters = (wanted: boolean): number =>
        part.filter((d) => isGenerated(d) === wanted).reduce((n, d) => n + d.text.length, 0);
      const found = characters(true) / (characters(true) + characters(false));
      assert.ok(Math.abs(found - share) < 0.02, `${found} for ${share}`);
    }
  }
  await assert.rejects(collect('train', 1, 1), /generatedShare/);
});

test('passages join to the text, and cut long ones at line ends', () => {
  for (const { text } of files(40)) {
    const cut = passages(text);
    assert.equal(cut.join(''), text);
    for (const passage of cut.slice(0, -1)) assert.ok(passage.endsWith('\n') && passage.length <= 6000 && passage.length >= 3000);
  }
  assert.equal(passages('x'.repeat(20000)).join(''), 'x'.repeat(20000));
  assert.deepEqual(passages(''), []);
});

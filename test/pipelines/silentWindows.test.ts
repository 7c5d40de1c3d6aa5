import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { activationAt } from '../../src/causal/activeFeatures.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import type { TextWindow } from '../../src/interp/detectionWindows.ts';
import { overlaps, refOf } from '../../src/interp/split.ts';
import { Rng } from '../../src/math/rng.ts';
import { openSilentWindows } from '../../src/pipelines/silentWindows.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { plantedDictionary, plantedModel, plantedRows } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

const COLS = 128;
const rows = plantedRows(200, COLS, 3);
/** Random features: one of two words, sometimes only after a third; some fire more often than others. */
const rules: readonly Rule[] = Array.from({ length: 100 }, (_, feature): Rule => {
  const rng = Rng.derive(12, feature);
  const [a, b, before] = [1 + rng.int(35), 1 + rng.int(35), 1 + rng.int(35)];
  const needsBefore = rng.next() < 0.5;
  return (ids, t) => ((ids[t] === a || ids[t] === b) && (!needsBefore || (t > 0 && ids[t - 1] === before)) ? 1 + a : 0);
});
const fragments: readonly TextWindow[] = rows.flatMap((ids, row) => [0, 64].map((start) => ({ row, start, ids: [...ids.subarray(start, start + 64)] })));
const model = plantedModel(rules);
const dictionary = plantedDictionary(rules);

test('windows are silent on every token, share no text with what is excluded, and repeat with the generator', async () => {
  const silent = await openSilentWindows({ model, dictionary, fragments, length: 32, most: Infinity });
  let given = 0;
  for (let feature = 0; feature < rules.length; feature++) {
    const exclude = Array.from({ length: 40 }, (_, i) => ({ row: Rng.derive(feature, i).int(rows.length), start: Rng.derive(feature, 'start', i).int(COLS - 50), length: 50 }));
    const windows = silent.of(feature, 50, exclude, new Rng(feature));
    given += windows.length;
    assert.equal(new Set(windows.map(({ row, start }) => `${row} ${start}`)).size, windows.length);
    for (const window of windows) {
      const ids = rows[window.row];
      assert.deepEqual(window.ids, [...ids.subarray(window.start, window.start + 32)]);
      for (let t = window.start; t < window.start + 32; t++) assert.ok(rules[feature](ids, t) <= 0, `feature ${feature} is active at ${t}`);
      assert.ok(!exclude.some((ref) => overlaps(ref, refOf(window))));
    }
    assert.deepEqual(silent.of(feature, 50, exclude, new Rng(feature)), windows);
  }
  assert.ok(given > 2500, `only ${given} windows`);
});

test('none that is silent is kept back', async () => {
  const silent = await openSilentWindows({ model, dictionary, fragments, length: 32, most: Infinity });
  // 200 rows give two windows at their start and one that has 32 tokens of its fragment before it.
  assert.equal(silent.size, 600);
  for (const feature of [0, 1, 2, 3]) {
    const expected = rows.flatMap((ids, row) => [0, 32, 96].filter((start) => Array.from({ length: 32 }, (_, t) => rules[feature](ids, start + t)).every((a) => a <= 0)).map((start) => `${row} ${start}`));
    assert.deepEqual(silent.of(feature, Infinity, [], new Rng(1)).map(({ row, start }) => `${row} ${start}`).sort(), expected.sort());
  }
});

test('windows that were read with all the text before them come first, and no more fragments are read than told', async () => {
  const silent = await openSilentWindows({ model, dictionary, fragments, length: 32, most: 150 });
  assert.equal(silent.size, 300, 'two windows of each of 150 that begin their row');
  const both = await openSilentWindows({ model, dictionary, fragments: fragments.slice(0, 80), length: 32, most: 70 });
  assert.equal(both.size, 80 + 30);
  for (let feature = 0; feature < 20; feature++) {
    const starts = both.of(feature, Infinity, [], new Rng(feature)).map(({ start }) => start);
    const whole = starts.filter((start) => start < 64).length;
    assert.ok(starts.every((start, i) => start < 64 === i < whole), `${starts}`);
    assert.deepEqual(both.of(feature, 20, [], new Rng(feature)).map(({ start }) => start), starts.slice(0, 20));
  }
  const before = model.forwards;
  await openSilentWindows({ model, dictionary, fragments, length: 32, most: 32 });
  assert.equal(model.forwards - before, 1, '2048 tokens');
});

test('fragments that share text with earlier ones, and those too short for text before the window, are left out', async () => {
  const cut = (row: number, start: number, length: number): TextWindow => ({ row, start, ids: [...rows[row].subarray(start, start + length)] });
  const silent = await openSilentWindows({ model, dictionary, fragments: [cut(0, 0, 64), cut(0, 0, 64), cut(0, 40, 64), cut(1, 3, 40), cut(2, 0, 20), cut(3, 0, 40), cut(4, 8, 100)], length: 32 });
  // Row 0: 2; row 3: the last 32 of 40; row 4: those that begin at 36 and 68 of the fragment.
  assert.equal(silent.size, 5);
});

test('what it finds does not depend on how many runs go at once', async () => {
  const alone = await openSilentWindows({ model: { ...model, concurrency: 1 }, dictionary, fragments, length: 32, most: Infinity });
  const many = await openSilentWindows({ model: { ...model, concurrency: 7 }, dictionary, fragments, length: 32, most: Infinity });
  assert.equal(alone.identity, many.identity);
  for (let feature = 0; feature < 100; feature++) assert.deepEqual(alone.of(feature, 50, [], new Rng(1)), many.of(feature, 50, [], new Rng(1)));
  assert.notEqual((await openSilentWindows({ model, dictionary, fragments: fragments.slice(1), length: 32, most: Infinity })).identity, alone.identity);
});

test('a window needs a token', async () => {
  await assert.rejects(openSilentWindows({ model, dictionary, fragments, length: 0 }), { code: 'BAD_INPUT' });
});

const DEMO = join(import.meta.dirname, '../../models/demo');
const skip = existsSync(join(DEMO, 'model.safetensors')) ? false : 'models/demo has no model.safetensors';

test('on the demo model, windows of fragments that begin their row are silent when the model reads the whole row', { skip }, async () => {
  const tokenizer = await openTokenizer(DEMO);
  const subject = await openSubjectModel(DEMO, { device: 'cpu', workers: 1 });
  try {
    const rng = new Rng(4);
    const text = Array.from({ length: 100 }, () => [tokenizer.eosId!, ...tokenizer.encode(generateDocument(rng))]).flat();
    const [count, F] = [24, 64];
    const ids = Int32Array.from(text.slice(0, count * COLS));
    assert.equal(ids.length, count * COLS);
    const sparse = randomDictionary('random', 'resid_post.1', subject.info.dModel, F, { seed: 3, bias: -2 });
    const pool = Array.from({ length: count }, (_, row) => ({ row, start: 0, ids: [...ids.subarray(row * COLS, row * COLS + 64)] }));
    const silent = await openSilentWindows({ model: subject, dictionary: sparse, fragments: pool, length: 32 });
    const { codes } = await subject.forward({ batch: { rows: count, cols: COLS, ids, lengths: new Int32Array(count).fill(COLS) }, taps: [], logits: 'none', encode: [sparse] });
    let partly = 0;
    for (let feature = 0; feature < F; feature++) {
      const expected: string[] = [];
      for (let row = 0; row < count; row++) {
        for (const start of [0, 32]) if (Array.from({ length: 32 }, (_, t) => activationAt(codes[0], row * COLS + start + t, feature)).every((a) => a === 0)) expected.push(`${row} ${start}`);
      }
      assert.deepEqual(silent.of(feature, Infinity, [], rng).map(({ row, start }) => `${row} ${start}`).sort(), expected.sort(), `feature ${feature}`);
      if (expected.length > 0 && expected.length < silent.size) partly++;
    }
    assert.ok(partly > F / 4, `${partly} features are silent in some windows and active in others`);
  } finally {
    await subject.close();
  }
});

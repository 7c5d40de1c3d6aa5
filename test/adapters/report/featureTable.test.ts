import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { featureTable } from '../../../scripts/stages/featureTable.ts';
import { htmlFeatureTable } from '../../../src/adapters/report/featureTable.ts';
import type { FeatureTableData } from '../../../src/ports/FeatureTable.ts';
import { shortFloat } from '../../../src/math/shortFloat.ts';
import { seedCatalog, seedDescription, seedFeature } from '../../helpers/seedCatalog.ts';
import { withCatalog } from '../../helpers/withCatalog.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { assertSelfContained, elements, parseHtml } from './htmlCheck.ts';

const HOSTILE = `"><script>alert('x')</script>&lt;|\`[x](javascript:1)\n<img src=x onerror=1>`;
const CHOICE = { model: 'toy', features: 6, order: 'index', explainer: null, exemplars: 2 } as const;

test('the table of a catalog: addresses, descriptions, scores, skips and the strongest windows of its first features', async () => {
  await withCatalog(async ({ reader, writer }) => {
    await seedCatalog(writer, { features: 20 });
    const data = await featureTable(reader, { ...CHOICE, dictionaries: ['1-tied-r2', '0-tied-r2'] });
    assert.deepEqual(data.dictionaries.map(({ name }) => name), ['toy/1-tied-r2', 'toy/0-tied-r2']);
    const { features } = data.dictionaries[0]!;
    assert.deepEqual(features.map(({ address }) => address), [0, 1, 2, 3, 4, 5].map((index) => `toy/1-tied-r2/${index}`));
    assert.deepEqual(features[4]!.explanations, []);
    assert.deepEqual(features[4]!.skipped.map(({ explainer, reason }) => [explainer, reason]), [['pattern-v1', 'never active in held-out text']]);
    assert.equal(features[1]!.explanations[0]!.description, seedDescription(1, 1));
    assert.equal(features[1]!.explanations[0]!.scores[0]!.value, 0.91);

    // The windows are the feature's own, cut about the strongest token: theirs are 12 tokens, so nothing is cut.
    const [strongest] = seedFeature(1, 1, 20, 7).exemplars.filter(({ kind }) => kind === 'top');
    assert.equal(features[1]!.exemplars.length, 2);
    const from = Math.max(0, strongest!.activations.indexOf(Math.max(...strongest!.activations)) - 14);
    assert.deepEqual(features[1]!.exemplars[0], strongest!.ids.map((id, i) => ({ text: ` t${id}`, activation: shortFloat(strongest!.activations[i]!) })).slice(from));

    await withFolder(async (folder) => {
      assert.deepEqual(await htmlFeatureTable().write(join(folder, 't.html'), data), [join(folder, 't.html'), join(folder, 't.md')]);
      const html = await readFile(join(folder, 't.html'), 'utf8');
      const root = parseHtml(html);
      assertSelfContained(html, root);
      const rows = elements(elements(root, 'tbody')[0]!, 'tr');
      assert.equal(rows.length, 6);
      const cells = elements(rows[1]!, 'td').map(({ text }) => text);
      assert.match(cells[0]!, /^toy\/1-tied-r2\/1active on [\d.]+ % of tokens/);
      assert.equal(cells[1], `${seedDescription(1, 1)}pattern-v1`);
      assert.equal(cells[2], '0.91 [0.81, 1.01]simulation-top-random by pattern-v1');
      assert.match(elements(rows[0]!, 'td')[2]!.text, /^undefined: the simulation is constant/);
      assert.equal(elements(rows[4]!, 'td')[1]!.text, 'no description: never active in held-out textpattern-v1');
      const tokens = elements(elements(rows[1]!, 'td')[3]!, 'span');
      const active = features[1]!.exemplars.flat().filter(({ activation }) => activation > 0);
      assert.deepEqual(tokens.map(({ text }) => text), active.map(({ text }) => text));
      // The strongest token of each window has the deepest shade.
      const shade = (i: number): number => Number(/\/ ([\d.]+)\)/.exec(tokens[i]!.attributes.get('style')!)![1]);
      const first = features[1]!.exemplars[0]!.filter(({ activation }) => activation > 0).map(({ activation }) => activation);
      const peak = first.indexOf(Math.max(...first));
      assert.equal(shade(peak), 0.8);
      first.forEach((activation, i) => assert.ok(Math.abs(shade(i) - (0.1 + (0.7 * activation) / first[peak]!)) < 0.006));
      const markdown = await readFile(join(folder, 't.md'), 'utf8');
      assert.equal(markdown.split('\n').filter((line) => line.startsWith('| toy/')).length, 12);
      assert.match(markdown, /\*\*t\d+\*\*/);
    });
  });
});

test('by score, by explainer, and what is asked for in vain', async () => {
  await withCatalog(async ({ reader, writer }) => {
    await seedCatalog(writer, { features: 20 });
    const best = await featureTable(reader, { ...CHOICE, order: 'score', dictionaries: ['0-tied-r2'] });
    const values = best.dictionaries[0]!.features.map(({ explanations }) => explanations[0]!.scores[0]!.value!);
    assert.deepEqual(values, values.toSorted((a, b) => b - a));
    assert.ok(values[0]! > 0.9);
    assert.equal((await featureTable(reader, { ...CHOICE, dictionaries: ['0-tied-r2'], explainer: 'pattern-v1' })).dictionaries[0]!.features.length, 6);
    await assert.rejects(featureTable(reader, { ...CHOICE, dictionaries: ['0-tied-r2'], explainer: 'other' }), /explainer other; they were given to pattern-v1/);
    await assert.rejects(featureTable(reader, { ...CHOICE, dictionaries: ['9-tied-r2'] }), /no dictionary toy\/9-tied-r2; it has 0-tied-r2, 1-tied-r2/);
    await assert.rejects(featureTable(reader, { ...CHOICE, model: 'nobody', dictionaries: ['0-tied-r2'] }), /it has none of this model/);
  });
});

test('hostile descriptions and tokens stay text', async () => {
  await withFolder(async (folder) => {
    const score = { scorer: HOSTILE, judge: HOSTILE, promptVersion: HOSTILE, value: 0.5, undefinedReason: null, low: null, high: null, n: 1 };
    const feature = {
      address: 'toy/0-a/0', density: 0.1, maxActivation: 2, promotes: [HOSTILE], skipped: [{ explainer: HOSTILE, reason: HOSTILE }],
      explanations: [{ explainer: HOSTILE, model: null, promptVersion: HOSTILE, description: HOSTILE, scores: [score, { ...score, value: null, undefinedReason: HOSTILE }] }],
      exemplars: [[{ text: HOSTILE, activation: 1 }, { text: HOSTILE, activation: 0 }, { text: '\n', activation: 0.6 }], []],
    }; // prettier-ignore
    const data: FeatureTableData = { title: HOSTILE, notes: [HOSTILE], dictionaries: [{ name: HOSTILE, facts: [[HOSTILE, HOSTILE]], features: [feature] }] };
    await htmlFeatureTable().write(join(folder, 't.html'), data);
    const html = await readFile(join(folder, 't.html'), 'utf8');
    const root = parseHtml(html);
    assertSelfContained(html, root);
    assert.ok(elements(root, 'td')[1]!.text.includes(HOSTILE));
    assert.ok(elements(root, 'td')[3]!.text.includes('↵'));
    const markdown = await readFile(join(folder, 't.md'), 'utf8');
    assert.doesNotMatch(markdown, /<script|<img|(?<!\\)\[x\]/);
    assert.equal(markdown.split('\n').filter((line) => line.startsWith('| toy/')).length, 1, 'a description stays on its line');
  });
});

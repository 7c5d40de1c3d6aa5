import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { effectRange, tokenEffects } from '../../../src/adapters/report/tokenEffects.ts';
import { htmlTokenFeatureReport } from '../../../src/adapters/report/tokenFeatureReport.ts';
import type { ReportedDirection, ReportedPurity, TokenFeatureData } from '../../../src/ports/TokenFeatureReport.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { assertSelfContained, elements, parseHtml, type HtmlElement } from './htmlCheck.ts';

const purity: ReportedPurity = { rule: 'above', threshold: 0, matches: 9, falsePositives: 1, falseNegatives: 3, precision: 0.9, recall: 0.75, f1: 9 / 11 };
const mean = (value: number | null, n = 4) => ({ n, mean: value, halfWidth: n < 2 ? null : 0.25 });

function direction(label: string): ReportedDirection {
  const histogram = { edges: [0, 1, 2], parts: [{ id: 1, zero: 5, counts: [10, 30], share: 0.8 }, { id: null, zero: 900, counts: [60, 0], share: 0.2 }] };
  return {
    label, active: 100, purity, best: { ...purity, rule: 'at least', threshold: 1.5 }, histogram,
    effects: {
      rows: 3, tokens: 384, positions: mean(0.01, 200), activePositions: mean(0.5, 20), positive: 6, negative: 2, left: 1e-7,
      loses: [{ id: 2, all: mean(1.25), active: mean(1.5), positive: 4, positiveSum: 5, negative: 0, negativeSum: 0 }],
      gains: [{ id: 3, all: mean(-0.5, 1), active: mean(null, 0), positive: 0, positiveSum: 0, negative: 1, negativeSum: -0.5 }],
      positiveHistogram: { edges: [0, 1.5, 3], parts: [{ id: 2, zero: 0, counts: [3, 1], share: 1 }] },
      negativeHistogram: { edges: [], parts: [{ id: null, zero: 200, counts: [], share: 0 }] },
    },
  };
}

const DATA: TokenFeatureData = {
  title: 'Features for the tokens "<b>" & more',
  model: 'demo', tokensRead: 1005, effectThreshold: 0.1,
  pattern: { label: 'the tokens "<b>"', tokens: 12, byToken: [{ id: 1, count: 12 }], rankedBy: 'best-f1', ranking: [{ address: 'demo/2-x/7', purity, best: null, meanOnPattern: 1.2, maxActivation: 2 }], byMean: [], featuresSearched: 3072 },
  features: [
    {
      address: 'demo/2-x/7', hookPoint: 'resid_post.2', place: 1, feature: direction('feature demo/2-x/7'), basis: { ...direction('minus dimension 3 of resid_post.2'), dimension: 3, sign: -1, rank: 1, share: 0.05 },
      contexts: [{ kind: 'strongest', row: 4, position: 1, tokens: [{ text: 'a & ', activation: 0, here: false }, { text: '<b>', activation: 2, here: true }, { text: '\n', activation: 1, here: false }] }],
    },
  ],
  texts: { 1: '<b>', 2: '\n', 3: ' "x"' },
  facts: [['seed', '0']],
}; // prettier-ignore

/** Heights of the bars of a drawing, by what hovering says. */
function bars(svg: HtmlElement): Map<string, number[]> {
  return new Map(elements(svg, 'g').map((group) => [elements(group, 'title')[0].text, elements(group, 'rect').map(({ attributes }) => Number(attributes.get('height')))]));
}

test('the figure is whole HTML that loads nothing, with bars in proportion and every text escaped', async () => {
  await withFolder(async (folder) => {
    const report = htmlTokenFeatureReport();
    for (const scale of ['linear', 'log'] as const) {
      await report.write(join(folder, 'sub', `${scale}.html`), DATA, scale);
      const html = await readFile(join(folder, 'sub', `${scale}.html`), 'utf8');
      const root = parseHtml(html);
      assertSelfContained(html, root);
      assert.equal(elements(root, 'h1')[0].text, DATA.title);
      for (const text of ['demo/2-x/7', 'minus dimension 3 of resid_post.2', '“<b>”', '“↵”', '0.900', 'silent on 905']) assert.ok(root.text.includes(text), text);
      const histograms = elements(root, 'svg').filter(({ attributes }) => attributes.get('aria-label')?.startsWith('Activations of') === true);
      assert.equal(histograms.length, 2);
      const heights = bars(histograms[0]);
      assert.equal(heights.size, 3);
      const [[low, lowShare], [rest, restShare], [high, highShare]] = ['“<b>”: 10 of 70, 0 to 1.0', 'all others: 60 of 70, 0 to 1.0', '“<b>”: 30 of 30, 1.0 to 2.0'].map((title) => heights.get(title)!);
      // A bar is shared out in proportion on either scale; bars are to each other as counts, or as log(1 + count).
      assert.ok(Math.abs(rest / low - 6) < 0.05 && Math.abs(restShare / lowShare - 6) < 0.05 && Math.abs(lowShare + restShare - highShare) < 0.02);
      const expected = scale === 'log' ? Math.log(31) / Math.log(71) : 30 / 70;
      assert.ok(Math.abs(high / (low + rest) - expected) < 0.01);
      const effects = elements(root, 'svg').filter(({ attributes }) => attributes.get('aria-label')?.startsWith('Effect of ablating') === true);
      const marks = elements(effects[0], 'circle').map(({ attributes }) => Number(attributes.get('cx')));
      assert.ok(marks.length === 2 && marks[0] > marks[1], 'a token that is helped lies to the right of one that is hindered');
      assert.match(root.text, /Negative effects of ablating feature demo\/2-x\/7 by next token: none/);
    }
    assert.deepEqual((await readdir(join(folder, 'sub'))).sort(), ['linear.html', 'log.html']);
  });
});

test('without a pattern there is no ranking and no purity', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'x.html');
    const features = DATA.features.map((one) => ({ ...one, place: null, feature: { ...one.feature, purity: null, best: null }, basis: { ...one.basis, purity: null, best: null } }));
    await htmlTokenFeatureReport().write(path, { ...DATA, pattern: null, features }, 'linear');
    const text = parseHtml(await readFile(path, 'utf8')).text;
    assert.doesNotMatch(text, /Purity|Which features mean it|place/);
    assert.match(text, /On which tokens it is active/);
  });
});

test('an interval over two positions is cut at the frame instead of filling it', () => {
  const effect = (id: number, n: number, mean: number, halfWidth: number) => ({ id, all: { n, mean, halfWidth }, active: { n: 0, mean: null, halfWidth: null }, positive: n, positiveSum: n * mean, negative: 0, negativeSum: 0 });
  const shown = { loses: [effect(1, 2, 1, 40), effect(2, 50, 2, 0.5)], gains: [] };
  const range = effectRange([shown]);
  assert.deepEqual(range, { low: 0, high: 2.5 });
  const figure = tokenEffects(shown, range, String, 'effects');
  const width = Number(/viewBox="0 0 (\d+)/.exec(figure)![1]);
  const bars = [...figure.matchAll(/<path d="M([\d.-]+) [\d.]+H([\d.-]+)"/g)].map(([, from, to]) => [Number(from), Number(to)]);
  assert.equal(bars.length, 2);
  assert.ok(bars.every(([from, to]) => from >= 0 && to <= width && from < to), JSON.stringify(bars));
  assert.ok(figure.includes('1.000 ± 40.000 over 2 positions'), 'whole where the pointer rests');
});

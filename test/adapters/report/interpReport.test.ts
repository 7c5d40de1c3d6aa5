import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../../src/adapters/files/artefacts.ts';
import { htmlInterpReport } from '../../../src/adapters/report/interpReport.ts';
import type { ExplainOutcome, Score } from '../../../src/domain/feature.ts';
import { Rng } from '../../../src/math/rng.ts';
import { interpReportData, type ComparedDictionary, type ComparisonInput } from '../../../src/pipelines/interpReport.ts';
import type { InterpReportData } from '../../../src/ports/InterpReport.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { assertSelfContained, elements, parseHtml, type HtmlElement } from './htmlCheck.ts';

const HOSTILE = `"><script>alert('x')</script>&lt;|\`[x](javascript:1)\n<img src=x onerror=1>`;

/** Explanations of one dictionary as the explain stage writes them: scores about `level`, every seventh skipped, every eleventh undefined. */
function planted(seed: number, count: number, level: number): ExplainOutcome[] {
  const rng = new Rng(seed);
  const score = (scorer: string, judge: string, value: number | null): Score => ({ scorer, judge, promptVersion: judge === 'pattern-v1' ? null : 'simulate-v1', value, undefinedReason: value === null ? `constant ${HOSTILE}` : null, n: 640, low: null, high: null, fragments: [] });
  return Array.from({ length: count }, (_, index): ExplainOutcome => {
    if (index % 7 === 6) return { kind: 'skipped', index, reason: `never active ${HOSTILE}` };
    const value = index % 11 === 10 ? null : Math.max(-1, Math.min(1, level + 0.2 * rng.normal()));
    const scores = [score('simulation-top', 'pattern-v1', value), score('simulation-top-random', 'pattern-v1', value), score('simulation-top-random', HOSTILE, value === null ? null : value / 2)];
    return { kind: 'explained', explanation: { index, explainer: 'pattern-v1', model: null, promptVersion: null, description: HOSTILE, detail: null, fragments: [], scores } };
  });
}

const LEVELS: Readonly<Record<string, readonly number[]>> = { 'tied-r4': [0.7, 0.5], pca: [0.6, 0.45], random: [0.3, 0.2], control: [0.8, 0.7] };

/** Writes a planted catalog's explanations to disk and reads them back, as the command does. */
async function fromFiles(folder: string): Promise<{ data: InterpReportData; files: Map<string, string> }> {
  const artefacts = fileArtefacts();
  const files = new Map<string, string>();
  const dictionaries: ComparedDictionary[] = [];
  for (const [method, levels] of Object.entries(LEVELS)) {
    for (const [layer, level] of levels.entries()) {
      const path = join(folder, `${layer}-${method}.ndjson`);
      await artefacts.writeRecords(path, planted(100 * layer + method.length, 60, level));
      const outcomes: ExplainOutcome[] = [];
      for await (const outcome of artefacts.readRecords<ExplainOutcome>(path)) outcomes.push(outcome);
      files.set(`${layer} ${method}`, path);
      dictionaries.push({ layer, method, dictionary: `toy/${layer}-${method}`, nFeatures: 96, quality: { fvu: 0.25, l0: 12.5, aliveShare: 0.9, vectors: 1000 }, weightsHash: 'ab'.repeat(32), runs: { explain: `key-${layer}-${method}` }, outcomes, densities: outcomes.map((_, i) => (i % 3 === 0 ? 0.02 : 0.002)) });
    }
  }
  const input: ComparisonInput = {
    title: `Report ${HOSTILE}`, reference: 'tied-r4', methods: Object.keys(LEVELS).map((name) => ({ name, what: `what ${name} is ${HOSTILE}` })), dictionaries,
    floors: ['random'], controls: ['control'], facts: [['seed', '0'], ['text', HOSTILE]], notes: [HOSTILE], seed: 0,
  }; // prettier-ignore
  return { data: interpReportData(input), files };
}

/** Cells of the table whose head is this, without the head. */
function cellsOf(root: HtmlElement, firstHeads: readonly string[], nth = 0): string[][] {
  const found = elements(root, 'table').filter((element) => firstHeads.every((head, i) => elements(element, 'th')[i]?.text === head));
  return elements(found[nth]!, 'tr').slice(1).map((row) => elements(row, 'td').map(({ text }) => text));
}

test('the report holds the numbers of the explanation files, recomputed from their lines', async () => {
  await withFolder(async (folder) => {
    const { data, files } = await fromFiles(folder);
    const written = await htmlInterpReport().write(join(folder, 'r.html'), data);
    assert.deepEqual(written.map((path) => path.slice(folder.length + 1)), ['r.html', 'r.md', 'r.json']);
    const html = await readFile(join(folder, 'r.html'), 'utf8');
    const root = parseHtml(html);
    assertSelfContained(html, root);

    const rows = cellsOf(root, ['layer', 'method', 'asked']);
    for (const [key, path] of files) {
      const [layer, method] = key.split(' ');
      // No code of ours: lines, JSON, and the definitions of mean and standard error.
      const lines = (await readFile(path, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { kind: string; explanation?: { scores: { scorer: string; judge: string; value: number | null }[] } });
      const values = lines.map(({ explanation }) => explanation?.scores.find(({ scorer, judge }) => scorer === 'simulation-top-random' && judge === 'pattern-v1')?.value ?? null);
      const [scored, asked] = [values.filter((value) => value !== null), values.map((value) => value ?? 0)].map((list) => {
        const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
        const half = 1.96 * Math.sqrt(list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (list.length - 1) / list.length);
        return { n: list.length, text: `${mean.toFixed(3)} ± ${half.toFixed(3)}` };
      }) as [{ n: number; text: string }, { n: number; text: string }];
      const explained = lines.filter(({ kind }) => kind === 'explained').length;
      const row = rows.find((cells) => cells[0] === layer && cells[1] === method)!;
      assert.deepEqual([row[2], row[3], row[4], row[5], row[7]], ['60', String(explained), String(scored.n), scored.text, asked.text]);
    }
    // Once more among the features active on 1 % of tokens: every third here.
    const often = cellsOf(root, ['layer', 'method', 'asked'], 1).find((cells) => cells[0] === '1' && cells[1] === 'pca')!;
    const third = data.instruments[0]!.scores.find(({ layer, method }) => layer === 1 && method === 'pca')!.values.filter((value, i) => i % 3 === 0 && value !== null) as number[];
    assert.deepEqual([often[2], often[4]], ['20', String(third.length)]);
    assert.ok(often[5]!.startsWith((third.reduce((sum, value) => sum + value, 0) / third.length).toFixed(3)), often[5]);
    const took = cellsOf(root, ['layer', 'method', 'dictionary']);
    assert.equal(took.length, 8);
    assert.match(took[0]!.join(' '), /^0 tied-r4 toy\/0-tied-r4 52 of 60 \(86\.7 %\) 8 never active/);
    assert.match(took[0]!.join(' '), /explain key-0-tied-r4/);
    const missing = elements(root, 'li').map(({ text }) => text).filter((text) => text.startsWith('layer 0, tied-r4: '));
    assert.equal(missing.length, 3);
    assert.match(missing[0]!, /: \d constant "><script>/);

    const json = JSON.parse(await readFile(join(folder, 'r.json'), 'utf8')) as InterpReportData;
    assert.deepEqual(json, JSON.parse(JSON.stringify(data)));
    assert.equal(json.instruments[0]!.scores[0]!.values.length, 60);
  });
});

test('the instruments stand in order, each judge apart, each with its figure and its sentences', async () => {
  await withFolder(async (folder) => {
    const { data } = await fromFiles(folder);
    await htmlInterpReport().write(join(folder, 'r.html'), data);
    const root = parseHtml(await readFile(join(folder, 'r.html'), 'utf8'));
    assert.deepEqual(data.instruments.map(({ scorer, judge }) => [scorer, judge]), [['simulation-top-random', 'pattern-v1'], ['simulation-top-random', HOSTILE], ['simulation-top', 'pattern-v1']]);
    assert.equal(elements(root, 'h2').length, 4);
    const figures = elements(root, 'svg').filter(({ attributes }) => attributes.get('role') === 'img');
    assert.equal(figures.length, 6, 'means and distribution of each');
    // 4 methods × (2 layers + their mean), scored and asked; strips: 4 methods × 2 layers.
    figures.forEach((figure, i) => assert.equal(elements(figure, 'title').length, i % 2 === 0 ? 24 : 8));
    for (const figure of figures) {
      for (const path of elements(figure, 'path')) assert.doesNotMatch(`${path.attributes.get('d')} ${path.attributes.get('transform') ?? ''}`, /NaN|undefined|Infinity/);
    }
    const first = data.instruments[0]!.verdicts;
    assert.match(first[0]!, /^Over the features with a score: Does tied-r4 score above random in every layer.*\? Yes\.$/);
    assert.match(first[1]!, /^Over the features with a score: tied-r4 of the trained model scores below the same recipe/);
    assert.match(first[2]!, /^Over all features asked for, those without a score counted as 0: /);
    for (const line of data.instruments.flatMap(({ verdicts }) => verdicts)) assert.ok(elements(root, 'li').some(({ text }) => text === line), line);
  });
});

test('hostile names, descriptions and reasons stay text, in HTML and in Markdown', async () => {
  await withFolder(async (folder) => {
    const { data } = await fromFiles(folder);
    await htmlInterpReport().write(join(folder, 'r.html'), data);
    const root = parseHtml(await readFile(join(folder, 'r.html'), 'utf8'));
    assert.ok(elements(root, 'h1')[0]!.text.includes(HOSTILE));
    assert.ok(elements(root, 'li').some(({ text }) => text === HOSTILE));
    const markdown = await readFile(join(folder, 'r.md'), 'utf8');
    assert.doesNotMatch(markdown, /<script|<img|(?<!\\)\[x\]/);
    for (const line of markdown.split('\n').filter((text) => text.startsWith('|'))) {
      assert.ok([8, 9, 13].includes(line.replaceAll('\\|', '').split('|').length - 2), `cells of ${line.slice(0, 80)}`);
    }
  });
});

test('a method without a single score, and a report without any instrument, are said to be so', async () => {
  await withFolder(async (folder) => {
    const { data } = await fromFiles(folder);
    const skipped: ExplainOutcome[] = Array.from({ length: 5 }, (_, index) => ({ kind: 'skipped', index, reason: 'never active' }));
    const dictionary = (method: string, outcomes: readonly ExplainOutcome[]): ComparedDictionary => ({ layer: 0, method, dictionary: `toy/0-${method}`, nFeatures: 5, quality: null, weightsHash: 'a', runs: {}, outcomes, densities: outcomes.map(() => 0) });
    const base = { title: 't', reference: 'sae', methods: [{ name: 'sae', what: '' }, { name: 'pca', what: '' }], floors: [], controls: [], facts: [], notes: [], seed: 0 };
    const half = interpReportData({ ...base, dictionaries: [dictionary('sae', planted(1, 9, 0.5)), dictionary('pca', skipped)] });
    const none = interpReportData({ ...base, dictionaries: [dictionary('sae', skipped), dictionary('pca', skipped)] });
    for (const one of [half, none, { ...data, instruments: [] }]) {
      await htmlInterpReport().write(join(folder, 'r.html'), one);
      parseHtml(await readFile(join(folder, 'r.html'), 'utf8'));
    }
    assert.match(await readFile(join(folder, 'r.html'), 'utf8'), /No feature was explained and scored/);
    assert.deepEqual(half.members[1]!.skipped, { 'never active': 5 });
    assert.equal(half.instruments[0]!.estimates[1]!.of.asked.mean, 0);
    assert.deepEqual([none.instruments, half.instruments[0]!.frequent], [[], null]);
    await writeFile(join(folder, 'taken'), '');
    await assert.rejects(htmlInterpReport().write(join(folder, 'taken', 'r.html'), none), /cannot write/);
  });
});

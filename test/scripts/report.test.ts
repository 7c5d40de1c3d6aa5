import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import type { ExplainOutcome } from '../../src/domain/feature.ts';
import { Rng } from '../../src/math/rng.ts';
import type { InterpReportData } from '../../src/ports/InterpReport.ts';
import { runCli, startCli, type CliRun } from '../helpers/cli.ts';
import { hashJudge, hashLevels } from '../helpers/hashJudge.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');

async function writeText(folder: string): Promise<string> {
  const rng = new Rng(21);
  const path = join(folder, 'text.jsonl');
  await writeFile(path, Array.from({ length: 1600 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
  return path;
}

/** Run folder of a stage by its key. */
async function runDir(home: string, stage: string, key: string): Promise<string> {
  const names = (await readdir(join(home, 'runs'))).filter((name) => name === `${stage}-${key.slice(0, 16)}`);
  assert.equal(names.length, 1, `run ${stage} ${key}`);
  return join(home, 'runs', names[0]!);
}

async function outcomesOf(home: string, key: string): Promise<ExplainOutcome[]> {
  return (await readFile(join(await runDir(home, 'explain', key), 'explanations.ndjson'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as ExplainOutcome);
}

test('report interp: one command makes dictionaries, baselines and control, compares them, and makes nothing twice', async () => {
  await withFolder(async (folder) => {
    const out = join(folder, 'out', 'report.html');
    const made = ['--model', MODEL, '--text', await writeText(folder), '--tokens', '24k', '--context', '64', '--layers', '1,2'];
    const args = ['report', 'interp', ...made, '--methods', 'tied-r0.5,pca,neuron-k8,random,control', '--features', '10', '--min-fragments', '5', '--out', out];
    const said = await runCli(folder, args);
    assert.match(said, /tied-r0\.5 against neuron-k8: /);

    const data = JSON.parse(await readFile(out.replace('.html', '.json'), 'utf8')) as InterpReportData;
    assert.deepEqual(data.members.map(({ layer, method }) => `${layer} ${method}`), [1, 2].flatMap((layer) => ['tied-r0.5', 'pca', 'neuron-k8', 'random', 'control'].map((method) => `${layer} ${method}`)));
    assert.deepEqual(data.members.map(({ dictionary }) => dictionary).slice(0, 5), ['demo/1-tied-r0.5', 'demo/1-pca', 'demo/1-neuron-k8', 'demo/1-random-r1', 'demo-random/1-tied-r0.5']);
    for (const member of data.members) {
      const outcomes = await outcomesOf(folder, member.runs['explain']!);
      assert.deepEqual(outcomes.map((outcome) => (outcome.kind === 'skipped' ? outcome.index : outcome.explanation.index)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(member.explained, outcomes.filter(({ kind }) => kind === 'explained').length);
      const values = outcomes.map((outcome) => (outcome.kind === 'skipped' ? null : outcome.explanation.scores.find(({ scorer }) => scorer === 'simulation-top-random')!.value));
      const found = data.instruments[0]!;
      assert.deepEqual(found.scores.find(({ layer, method }) => layer === member.layer && method === member.method)!.values, values);
      const scored = values.filter((value) => value !== null);
      const mean = scored.length === 0 ? null : scored.reduce((sum, value) => sum + value, 0) / scored.length;
      const { of } = found.estimates.find(({ layer, method }) => layer === member.layer && method === member.method)!;
      assert.ok(mean === null ? of.scored.mean === null : Math.abs(of.scored.mean! - mean) < 1e-12, `${member.dictionary}: ${of.scored.mean}, expected ${mean}`);
    }
    // All methods are read on the same rows, after those they were made from.
    const analysed = await Promise.all(data.members.map(async ({ runs }) => (JSON.parse(await readFile(join(await runDir(folder, 'analyse', runs['analyse']!), 'manifest.json'), 'utf8')) as { params: { rows: unknown }; inputs: { tokens: string } })));
    for (const { params, inputs } of analysed) assert.deepEqual([params.rows, inputs.tokens], [{ from: 300, to: 375 }, analysed[0]!.inputs.tokens]);
    const weights = new Set(data.members.map(({ weightsHash }) => weightsHash));
    assert.deepEqual(Object.keys((await readCurrentRuns(folder, 'demo'))!.dictionaries).filter((name) => name.endsWith('k8')).sort(), ['1-neuron-k8', '2-neuron-k8'], 'no baseline that was not asked for');
    assert.equal(weights.size, 10, 'ten dictionaries; the control has its own');

    const before = await readdir(join(folder, 'runs'));
    const html = await readFile(out, 'utf8');
    const again = await runCli(folder, args);
    assert.doesNotMatch(again, /: ran /);
    assert.deepEqual(await readdir(join(folder, 'runs')), before);
    assert.equal(await readFile(out, 'utf8'), html, 'the same command writes the same report');

    // What is there of all features serves a report over the first few, and stays current.
    await runCli(folder, ['explain', '--model', 'demo', '--set', 'tied-r0.5', '--min-fragments', '5']);
    const current = await readCurrentRuns(folder, 'demo');
    const wider = await runCli(folder, ['report', 'interp', '--model', MODEL, '--layers', '1,2', '--methods', 'tied-r0.5,random', '--features', '12', '--min-fragments', '5', '--out', out]);
    assert.match(wider, /explain: reused [0-9a-f]{16}, which has all features/);
    const explained = Object.fromEntries(Object.entries((await readCurrentRuns(folder, 'demo'))!.dictionaries).map(([name, { explain }]) => [name, explain]));
    for (const name of ['1-tied-r0.5', '2-tied-r0.5']) assert.deepEqual(explained[name], current!.dictionaries[name]!.explain);
    const some = JSON.parse(await readFile(out.replace('.html', '.json'), 'utf8')) as InterpReportData;
    assert.deepEqual(some.members.map(({ asked }) => asked), [12, 12, 12, 12]);

    await withALanguageModel(folder, out);

    await runCli(folder, ['load', '--model', 'demo', '--set', 'tied-r0.5']);
    const table = join(folder, 'out', 'features.html');
    await runCli(folder, ['report', 'features', '--model', 'demo', '--dictionary', '2-tied-r0.5', '1-tied-r0.5', '--features', '4', '--out', table]);
    const first = (await outcomesOf(folder, some.members.find(({ dictionary }) => dictionary === 'demo/2-tied-r0.5')!.runs['explain']!)).find(({ kind }) => kind === 'explained')!;
    const markdown = await readFile(table.replace('.html', '.md'), 'utf8');
    assert.equal(markdown.split('\n').filter((line) => /^\| demo\/[12]/.test(line)).length, 8);
    assert.ok(first.kind === 'explained' && (await readFile(table, 'utf8')).includes(first.explanation.description.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)));
  });
});

/** The same comparison, explained and judged by a language model. */
async function withALanguageModel(home: string, out: string): Promise<void> {
  await withOpenaiServer({ reply: hashJudge, alternatives: hashLevels }, async (server) => {
    const environment = { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: 'sk-hunter2', EXPLAIN_MODEL: '', JUDGE_MODEL: '', EMBEDDING_MODEL: '' };
    const interp = (features: number, ...args: string[]): CliRun => startCli(home, [
      'report', 'interp', '--model', MODEL, '--layers', '1', '--methods', 'tied-r0.5,random', '--features', String(features), '--min-fragments', '5',
      '--explainer', 'max-act', '--llm', 'rules', '--scorers', 'simulation,detection', '--out', out, ...args,
    ], environment); // prettier-ignore
    const first = interp(2);
    assert.equal(await first.ended, 0, first.output());
    const data = JSON.parse(await readFile(out.replace('.html', '.json'), 'utf8')) as InterpReportData;
    assert.ok(data.instruments.some(({ scorer }) => scorer.startsWith('detection')) && data.instruments.some(({ scorer }) => scorer === 'simulation-top-random'));
    for (const { judge, promptVersion } of data.instruments) assert.ok(judge === 'rules' && promptVersion !== null, `${judge} ${promptVersion}`);
    assert.equal(data.instruments.find(({ scorer }) => scorer === 'detection-balanced-accuracy')!.chance, 0.5);
    assert.match(JSON.stringify(data.facts), /max-act-v1@rules/);

    // A budget holds over all methods: what the first spends is not there for the second.
    const spent = await Promise.all(data.members.map(async ({ runs }) => {
      const { metrics } = JSON.parse(await readFile(join(await runDir(home, 'explain', runs['explain']!), 'manifest.json'), 'utf8')) as { metrics: { asked: { promptTokens: number; completionTokens: number } } };
      return metrics.asked.promptTokens + metrics.asked.completionTokens;
    })); // prettier-ignore
    // Two features are answered already; four more cost about twice as much, for each method.
    const over = interp(6, '--budget-tokens', String(3 * Math.max(...spent)));
    assert.equal(await over.ended, 4, over.output());
    assert.match(over.output(), /explain 1-tied-r0\.5: done/, 'enough for the first method');
    for (const run of [first, over]) assert.ok(!run.output().includes('hunter2'), 'the key is never shown');
  });
}

test('report interp says what is wrong before it begins', async () => {
  await withFolder(async (folder) => {
    const text = join(folder, 'text.txt');
    await writeFile(text, 'Some text. '.repeat(2000));
    const wrong = (args: readonly string[]): Promise<string> => runCli(folder, ['report', 'interp', '--out', join(folder, 'r.html'), ...args], 2);
    const plain = join(import.meta.dirname, '..', 'fixtures', 'lm', 'neox-serial');
    assert.match(await wrong(['--model', MODEL, '--methods', 'pca,random']), /expected at least one set of dictionaries/);
    assert.match(await wrong(['--model', MODEL, '--methods', 'tied-r4,pca,pca']), /expected each method once/);
    assert.match(await wrong(['--model', MODEL, '--text', text, '--methods', 'mine', '--layers', '1']), /no dictionaries of set mine for layer 1 .*only sets called tied-rR are trained here/);
    assert.match(await wrong(['--model', MODEL, '--text', text, '--layers', '9']), /the model has layers 0 to 3/);
    assert.match(await wrong(['--model', MODEL, '--protocol', 'paper']), /--protocol paper analyses a text of its own/);
    assert.match(await wrong(['--model', plain, '--methods', 'tied-r1']), /no text is known to train them on: give it with --text|tokenizer/);
    assert.deepEqual((await readdir(folder)).filter((name) => name.startsWith('r.')), []);
  });
});

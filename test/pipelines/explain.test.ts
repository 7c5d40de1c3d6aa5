import assert from 'node:assert/strict';
import { appendFile, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import { scoreOf } from '../../src/interp/explainSummary.ts';
import { backgroundTokens } from '../../src/pipelines/backgroundTokens.ts';
import { explainDictionary } from '../../src/pipelines/explain.ts';
import type { ExplainOptions, ExplainResult } from '../../src/pipelines/explain.ts';
import { openPatternExplainer } from '../../src/pipelines/patternExplainer.ts';
import { patternSimulator } from '../../src/pipelines/patternSimulator.ts';
import { simulationScorer } from '../../src/pipelines/simulationScorer.ts';
import type { Explainer } from '../../src/ports/Explainer.ts';
import type { Progress } from '../../src/ports/Progress.ts';
import type { Scorer } from '../../src/ports/Scorer.ts';
import { gather } from '../helpers/gather.ts';
import { withFolder } from '../helpers/withFolder.ts';
import { plantedAnalysis, plantedDictionary, plantedModel, plantedRows, plantedTokenizer } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

const SEED = 5;
const quiet: Progress = { start: () => ({ update() {}, finish() {} }), say() {} };
const artefacts = fileArtefacts();
/** Feature j fires on token j + 1; the last two never, and too rarely. */
const rules: Rule[] = [
  ...Array.from({ length: 11 }, (_, j): Rule => (ids, t) => (ids[t] === j + 1 ? 1 + ((ids[t - 1] ?? 0) % 3) / 4 : 0)),
  () => 0,
  (ids, t) => (ids[t] === 3 && ids[t - 1] === 4 ? 1 : 0),
];
const model = plantedModel(rules);

async function prepare(folder: string): Promise<string> {
  const path = join(folder, 'features.ndjson');
  await artefacts.writeRecords(path, plantedAnalysis(rules, plantedRows(120, 64, 3), 4));
  return path;
}

async function realExplainer(featuresPath: string): Promise<Explainer> {
  const background = await backgroundTokens(artefacts, featuresPath);
  return openPatternExplainer({ model, tokenizer: plantedTokenizer, dictionary: plantedDictionary(rules), background, seed: SEED });
}

async function run(folder: string, featuresPath: string, explainer: Explainer, options: Partial<ExplainOptions> = {}, scorers: Scorer[] = [simulationScorer(patternSimulator, SEED)]): Promise<ExplainResult> {
  const ports = { artefacts, progress: quiet, explainer, scorers };
  const input = { label: 'planted', featuresPath, nFeatures: rules.length, dir: folder };
  return explainDictionary(ports, input, { features: 'all', minFragments: 20, chunk: 3, ...options });
}

test('explains, scores, skips with reasons, and reports coverage beside the mean', () =>
  withFolder(async (folder) => {
    const featuresPath = await prepare(folder);
    const { path, summary, doneNow } = await run(folder, featuresPath, await realExplainer(featuresPath));
    const outcomes = await gather(artefacts.readRecords<ExplainOutcome>(path));
    assert.deepEqual(outcomes.map((o) => (o.kind === 'explained' ? o.explanation.index : o.index)), rules.map((_, i) => i));
    assert.equal(doneNow, rules.length);
    assert.deepEqual(outcomes.slice(11), [
      { kind: 'skipped', index: 11, reason: 'never active in the analysed text' },
      { kind: 'skipped', index: 12, reason: 'fewer than 20 fragments where its activation varies' },
    ]);
    assert.deepEqual(summary.skipped, { 'never active in the analysed text': 1, 'fewer than 20 fragments where its activation varies': 1 });
    assert.equal(summary.coverage, 11 / 13);
    const { ofScored, skippedAsZero, undefined: without } = scoreOf(summary, 'simulation-top-random')!;
    assert.ok(ofScored.n === 11 && ofScored.mean! > 0.9, `mean ${ofScored.mean}`);
    assert.ok(Math.abs(skippedAsZero.mean! - (ofScored.mean! * 11) / 13) < 1e-12);
    assert.equal(skippedAsZero.n, 13);
    assert.deepEqual(without, {});
    const first = outcomes[0];
    assert.ok(first.kind === 'explained');
    assert.deepEqual(first.explanation.scores.map((s) => [s.scorer, s.n]), [['simulation-top-random', 640], ['simulation-top', 320], ['simulation-random', 320]]);
    assert.ok(first.explanation.scores.every((s) => s.low! <= s.value! && s.value! <= s.high!));
  }));

test('killed after any chunk, with a torn last line: the same file in the end, and no finished chunk is done again', () =>
  withFolder(async (folder) => {
    const featuresPath = await prepare(folder);
    const explainer = await realExplainer(featuresPath);
    const whole = join(folder, 'whole');
    await mkdir(whole);
    const { hash } = await run(whole, featuresPath, explainer);
    const log = (await readFile(join(whole, 'explained.log.ndjson'), 'utf8')).trimEnd().split('\n');
    assert.equal(log.length, 5);
    for (const keep of [0, 1, 3, 5]) {
      const resumed = join(folder, `resumed-${keep}`);
      await mkdir(resumed);
      const path = join(resumed, 'explained.log.ndjson');
      await writeFile(path, log.slice(0, keep).map((line) => `${line}\n`).join(''));
      if (keep < 5) await appendFile(path, log[keep].slice(0, 40)); // torn by the kill
      const result = await run(resumed, featuresPath, explainer);
      assert.equal(result.hash, hash, `after ${keep} chunks`);
      assert.equal(result.doneNow, Math.max(0, rules.length - 3 * keep));
    }
    const again = join(folder, 'again');
    await mkdir(again);
    await copyFile(join(whole, 'explained.log.ndjson'), join(again, 'explained.log.ndjson'));
    const before = model.forwards;
    await run(again, featuresPath, explainer, { chunk: 5 });
    assert.equal(model.forwards, before, 'a finished log needs no forward run, whatever the chunk size');
    const other = join(folder, 'other-size');
    await mkdir(other);
    await writeFile(join(other, 'explained.log.ndjson'), log.slice(0, 2).map((line) => `${line}\n`).join(''));
    assert.equal((await run(other, featuresPath, explainer, { chunk: 4 })).hash, hash, 'continued with chunks of another size');
  }));

test('an explainer that fails in the middle leaves what was finished, and the next run goes on', () =>
  withFolder(async (folder) => {
    const featuresPath = await prepare(folder);
    const real = await realExplainer(featuresPath);
    let calls = 0;
    const failing: Explainer = { ...real, explain: (tasks) => (++calls === 3 ? Promise.reject(new Error('power cut')) : real.explain(tasks)) };
    await assert.rejects(run(folder, featuresPath, failing), /power cut/);
    const { doneNow, hash } = await run(folder, featuresPath, real);
    assert.equal(doneNow, rules.length - 6);
    const other = join(folder, 'other');
    await mkdir(other);
    assert.equal((await run(other, featuresPath, real)).hash, hash);
  }));

test('failures of explainer and scorer are recorded as such, never as explanations or values', () =>
  withFolder(async (folder) => {
    const featuresPath = await prepare(folder);
    const mute: Explainer = {
      name: 'mute', model: null, promptVersion: null, parameters: {},
      explain: async (tasks) => tasks.map(({ index }) => (index % 2 === 0 ? { kind: 'failed', index, reason: 'reply could not be parsed' } : { kind: 'explained', index, description: 'x', detail: null })),
    };
    const judge: Scorer = { name: 'judge', judge: 'j', promptVersion: null, parameters: {}, judges: () => true, score: async (tasks) => tasks.map(({ index }) => ({ kind: 'failed', index, reason: 'no answer' })) };
    const deaf: Scorer = { ...judge, name: 'deaf', judges: () => false };
    const { path, summary } = await run(folder, featuresPath, mute, { features: 4 }, [judge, deaf]);
    assert.deepEqual(summary.skipped, { 'explainer failed: reply could not be parsed': 2 });
    assert.deepEqual(summary.scores.map(({ scorer, judge, coverage, ofScored }) => [scorer, judge, coverage, ofScored.mean]), [['judge', 'j', 0, null]], 'no value, and nothing of the deaf one');
    assert.deepEqual(summary.scores[0].undefined, { 'scorer failed: no answer': 2 });
    assert.equal((await gather(artefacts.readRecords(path))).length, 4);
  }));

test('bad options and an analysis of another size are refused', () =>
  withFolder(async (folder) => {
    const featuresPath = await prepare(folder);
    const explainer = await realExplainer(featuresPath);
    for (const bad of [{ features: 0 }, { minFragments: 21 }, { minFragments: 0 }, { chunk: 0 }]) {
      await assert.rejects(run(folder, featuresPath, explainer, bad), CallerError);
    }
    await artefacts.writeRecords<FeatureAnalysis>(featuresPath, plantedAnalysis(rules.slice(0, 5), plantedRows(120, 64, 3), 4));
    await assert.rejects(run(folder, featuresPath, explainer), /holds 5 features, expected 13/);
  }));

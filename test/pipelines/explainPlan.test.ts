import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { planExplain } from '../../src/pipelines/explainPlan.ts';
import type { Explainer } from '../../src/ports/Explainer.ts';
import type { Scorer } from '../../src/ports/Scorer.ts';
import { withFolder } from '../helpers/withFolder.ts';
import { plantedAnalysis, plantedRows } from '../interp/plantedModel.ts';

const artefacts = fileArtefacts();
const never = (): Promise<never> => Promise.reject(new Error('a plan asks nothing'));
/** Sizes depend on the feature, so that a sum over a sample is a sum of something. */
const explainer: Explainer = {
  name: 'x', model: 'm', promptVersion: 'p', parameters: {}, explain: never,
  plan: (tasks) => tasks.map(({ index }) => ({ promptBytes: 400 + 4 * (index % 10), maxTokens: 60, expectedTokens: 25 })),
};
const scorer: Scorer = {
  name: 's', judge: 'm', promptVersion: 'p', parameters: {}, judges: () => true, score: never,
  plan: (tasks) => tasks.flatMap(({ top, random, description }) => [...top, ...random].map(() => ({ promptBytes: 100 + description.length, maxTokens: 10, expectedTokens: 2 }))),
};

test('requests of all eligible features are summed; of many, an even sample is scaled', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'features.ndjson');
    const [active, silent] = plantedAnalysis([(ids, t) => (ids[t] === 5 ? 1 + (t % 3) : 0), () => 0], plantedRows(60, 64, 3), 4);
    const write = (count: number) => artefacts.writeRecords(path, Array.from({ length: count }, (_, index) => ({ ...(index % 4 === 3 ? silent : active), index })));
    const plan = (features: number | 'all' = 'all', scorers: readonly Scorer[] = [scorer]) => planExplain(artefacts, { explainer, scorers }, path, { features, minFragments: 20 });

    await write(40);
    const small = await plan();
    assert.deepEqual([small.features, small.eligible, small.sampled], [40, 30, 30]);
    assert.equal(small.requests, 30 * 11, 'one to explain, ten fragments to judge');
    assert.equal(small.replyTokens.expected, 30 * (25 + 10 * 2));
    assert.equal(small.replyTokens.worst, 30 * (60 + 10 * 10));
    assert.equal(small.promptTokens.worst, 4 * small.promptTokens.expected);
    assert.equal((await plan(10)).eligible, 8, 'features are counted from the start, skipped ones too');
    assert.equal((await plan(40, [{ ...scorer, judges: () => false }])).requests, 30);

    await write(2000);
    const large = await plan('all', []);
    assert.equal(large.eligible, 1500);
    assert.ok(large.sampled >= 200 && large.sampled <= 400, `${large.sampled} sampled`);
    assert.ok(Math.abs(large.requests - 1500) <= 1);
    const exact = Array.from({ length: 2000 }, (_, i) => i).filter((i) => i % 4 !== 3).reduce((sum, i) => sum + 400 + 4 * (i % 10), 0);
    assert.ok(Math.abs(large.promptTokens.worst - exact) < 0.02 * exact, `${large.promptTokens.worst} of ${exact}`);
  }));

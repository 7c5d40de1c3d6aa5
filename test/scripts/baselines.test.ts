import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import { Rng } from '../../src/math/rng.ts';
import { featuresFile } from '../../src/pipelines/analyse.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');

test('baselines of the demo model from the command line: killed, continued, analysed like any dictionary, reused', async () => {
  await withFolder(async (folder) => {
    const rng = new Rng(12);
    const text = join(folder, 'text.jsonl');
    await writeFile(text, Array.from({ length: 900 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
    const args = ['baselines', '--model', MODEL, '--text', text, '--tokens', '24k', '--context', '64', '--layers', '1', '--kinds', 'pca,neuron,random', '--top-k', '8', '--held-out-vectors', '1024'];

    const run = startCli(folder, args);
    while (!run.output().includes('1-pca:')) assert.equal(await Promise.race([run.ended, sleep(20)]), undefined, run.output());
    run.child.kill('SIGKILL');
    assert.equal(await run.ended, 'SIGKILL');
    const continued = await runCli(folder, args);
    assert.ok(!continued.includes('1-pca:'), `1-pca was written before the kill: ${continued}`);
    assert.match(continued, /1-random-r1-k8: fvu/);

    const current = (await readCurrentRuns(folder, 'demo'))!;
    assert.deepEqual(Object.keys(current.dictionaries).sort(), ['1-neuron', '1-neuron-k8', '1-pca', '1-pca-k8', '1-random-r1', '1-random-r1-k8']);
    const { weights, quality } = await fileArtefacts().readDictionary(join(folder, current.dictionaries['1-pca-k8']!.weights));
    assert.equal(weights.config.k, 8);
    assert.equal(weights.config.nFeatures, 384);
    assert.ok(quality!.fvu > 0.05 && quality!.fvu < 0.9 && quality!.l0 <= 8, JSON.stringify(quality));

    await runCli(folder, ['analyse', '--model', 'demo', '--set', 'pca-k8', '--max-tokens', '4000']);
    const analysed = (await readCurrentRuns(folder, 'demo'))!.dictionaries['1-pca-k8']!.analyse!;
    const lines = (await readFile(join(folder, analysed, featuresFile('1-pca-k8')), 'utf8')).trim().split('\n');
    const features = lines.map((line) => JSON.parse(line) as FeatureAnalysis);
    assert.equal(features.length, 384);
    const active = features.reduce((sum, { density }) => sum + density, 0);
    assert.ok(active > 7 && active <= 8 + 1e-9, `mean active features ${active}`);
    // Components are orthogonal, and a component's other tail points away.
    assert.ok(features.every(({ neighbours }) => neighbours.length > 0 && neighbours.every(({ cosine }) => cosine < 1e-5)));

    assert.match(await runCli(folder, args), /baselines: reused/);
    assert.match(await runCli(folder, [...args, '--top-k', '500'], 2), /top-k: expected 1 to 192, found 500/);
    assert.match(await runCli(folder, [...args, '--kinds', 'pca,sae'], 1), /expected some of pca,ica,nmf,neuron,random/);
  });
});

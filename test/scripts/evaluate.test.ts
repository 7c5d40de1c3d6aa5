import assert from 'node:assert/strict';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import { Rng } from '../../src/math/rng.ts';
import type { EvaluateMetrics } from '../../scripts/stages/evaluate.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');

async function writeText(path: string, seed: number, documents: number): Promise<void> {
  const rng = new Rng(seed);
  await writeFile(path, Array.from({ length: documents }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
}

/** The JSON object a command printed after its progress. */
function jsonOf(output: string): EvaluateMetrics {
  return JSON.parse(output.slice(output.indexOf('{\n'))) as EvaluateMetrics;
}

test('evaluate from the command line: killed, continued, reused; sets, names and folders', async () => {
  await withFolder(async (folder) => {
    const text = join(folder, 'text.jsonl');
    await writeText(text, 12, 900);
    const source = ['--model', MODEL, '--text', text, '--tokens', '24k', '--context', '64', '--held-out-vectors', '1024'];
    await runCli(folder, ['baselines', ...source, '--layers', '1,2', '--kinds', 'pca', '--top-k', '8']);

    const args = ['evaluate', '--model', 'demo', '--set', 'pca-k8', '--dictionary', '1-pca', '--max-tokens', '2000', '--skip-positions', '1'];
    const run = startCli(folder, args);
    while (!/at resid_post\.2/.test(run.output())) assert.equal(await Promise.race([run.ended, sleep(20)]), undefined, run.output());
    run.child.kill('SIGKILL');
    assert.equal(await run.ended, 'SIGKILL');
    const continued = await runCli(folder, args);
    assert.match(continued, /2 dictionaries were evaluated before/); // those of layer 1
    assert.match(continued, /1-pca +384 +0\.0000 .*100\.00 %/);
    const metrics = jsonOf(await runCli(folder, [...args, '--json']));
    assert.deepEqual(metrics.dictionaries.map(({ dictionary }) => dictionary), ['1-pca-k8', '2-pca-k8', '1-pca']);
    const [first, , whole] = metrics.dictionaries;
    assert.equal(first!.splice.predictions, 32 * 62);
    assert.ok(first!.splice.ceRecovered! > 0.3 && first!.splice.ceRecovered! < 1 && first!.splice.perplexitySpliced > first!.splice.perplexityOriginal);
    assert.ok(Math.abs(whole!.splice.ceRecovered! - 1) < 1e-4 && whole!.fvu < 1e-6);
    assert.deepEqual(metrics.comparisons.map(({ a, b }) => [a, b]), [['1-pca-k8', '1-pca']]);
    assert.ok(Math.abs(metrics.comparisons[0]!.matching!.mean - 1) < 1e-5);

    // The same dictionary as a folder from elsewhere, on text of its own.
    const { dictionaries } = (await readCurrentRuns(folder, 'demo'))!;
    const elsewhere = join(folder, 'elsewhere');
    await cp(join(folder, dictionaries['1-pca-k8']!.weights), elsewhere, { recursive: true });
    const other = join(folder, 'other.jsonl');
    await writeText(other, 13, 40);
    const fromFolder = jsonOf(await runCli(folder, ['evaluate', '--model', MODEL, '--folder', elsewhere, '--text', other, '--context', '64', '--json']));
    assert.ok(Math.abs(fromFolder.dictionaries[0]!.fvu - first!.fvu) < 0.1);

    assert.match(await runCli(folder, ['evaluate', '--model', MODEL, '--folder', elsewhere], 2), /give text they were not trained on with --text/);
    assert.match(await runCli(folder, ['evaluate', '--model', 'demo', '--set', 'sae'], 2), /no set sae in .*; it has the dictionaries 1-pca, 1-pca-k8/);
    assert.match(await runCli(folder, ['evaluate', '--model', 'demo', '--dictionary', '1-pca', '--skip-positions', '63'], 2), /skip positions: expected 0 to 62/);
  });
});

test('superposition from the command line: a table, reused as JSON', async () => {
  await withFolder(async (folder) => {
    const args = ['superposition', '--dims', '12', '--active', '1', '--steps', '60', '--batch-size', '64', '--architecture', 'tied,topk', '--sparsity', '0.03', '--held-out-vectors', '500'];
    assert.match(await runCli(folder, args), /tied 0\.03 +48 .*\n *topk k 1 +48 /);
    assert.match(await runCli(folder, [...args, '--json']), /superposition: reused[^]*"recovered": /);
    assert.equal((await readdir(join(folder, 'runs'))).length, 1);
    assert.match(await runCli(folder, [...args, '--architecture', 'sae'], 1), /expected all, or some of tied/);
    assert.match(await runCli(folder, [...args, '--active', '30'], 2), /active: expected a number above 0 and at most the 24 features/);
  });
});

import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateDocument } from '../../src/corpus/document.ts';
import { Rng } from '../../src/math/rng.ts';
import type { TokenFeatureData } from '../../src/ports/TokenFeatureReport.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');

test('experiment token-feature from the command line: killed, continued, reused; what is wrong is said', async () => {
  await withFolder(async (folder) => {
    const text = join(folder, 'text.jsonl');
    const rng = new Rng(14);
    await writeFile(text, Array.from({ length: 900 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
    await runCli(folder, ['baselines', '--model', MODEL, '--text', text, '--tokens', '30k', '--context', '64', '--held-out-vectors', '1024', '--layers', '1,2', '--kinds', 'neuron']);

    const experiment = (...args: string[]): string[] => ['experiment', 'token-feature', '--model', 'demo', '--set', 'neuron', '--workers', '1', ...args];
    const args = experiment('--tokens', '.', '--tokens-read', '3000', '--effect-tokens', '2000');
    const run = startCli(folder, args);
    const started = async (): Promise<boolean> => (await readdir(join(folder, 'runs'), { recursive: true })).some((path) => path.endsWith('read.ndjson'));
    while (!(await started())) assert.equal(await Promise.race([run.ended, sleep(5)]), undefined, run.output());
    run.child.kill('SIGKILL');
    assert.equal(await run.ended, 'SIGKILL');
    const continued = await runCli(folder, args);
    assert.match(continued, /search continues at row 47 of 47[^]*reading continues at row [1-9]\d* of 47/);
    assert.match(continued, /the tokens ".": \d+ of 3008 tokens \("\." \d+\); the best of 384 features by best-f1:/);
    assert.match(continued, /demo\/[12]-neuron\/\d+, place 1 in the ranking/);
    const out = join(folder, 'figure.html');
    assert.match(await runCli(folder, [...args, '--out', out, '--scale', 'log']), /token-feature: reused/);
    assert.match(await readFile(out, 'utf8'), /^<!doctype html>[^]*above: tokens \(log\)/);

    const [dir] = (await readdir(join(folder, 'runs'))).filter((name) => name.startsWith('token-feature-'));
    const data = JSON.parse(await readFile(join(folder, 'runs', dir!, 'token-feature.ndjson'), 'utf8')) as TokenFeatureData;
    // A dimension compared with itself: the feature and the basis direction are one.
    const [{ feature, basis, address }] = data.features as [TokenFeatureData['features'][number]];
    assert.equal(basis.share, 1);
    assert.deepEqual(feature.histogram, basis.histogram);
    assert.deepEqual(feature.effects, basis.effects);

    const given = await runCli(folder, experiment('--feature', address, '--tokens-read', '1000', '--effect-tokens', '500'));
    assert.match(given, /ablated in \d rows: mean effect/);
    assert.doesNotMatch(given, /ranking/);
    assert.match(await runCli(folder, experiment(), 2), /give --feature, --tokens or --pattern/);
    assert.match(await runCli(folder, experiment('--tokens', '.', '--pattern', '.'), 2), /expected one of them/);
    assert.match(await runCli(folder, experiment('--pattern', '['), 2), /is no regular expression/);
    assert.match(await runCli(folder, experiment('--feature', 'demo/2-neuron/9999'), 2), /the dictionary has features 0 to 191/);
  });
});

import assert from 'node:assert/strict';
import { appendFile, cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { generateDocument } from '../../src/corpus/document.ts';
import { Rng } from '../../src/math/rng.ts';
import type { IoiStep } from '../../src/pipelines/ioi.ts';
import type { IoiReportData } from '../../src/ports/IoiReport.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
const IOI = ['experiment', 'ioi', '--model', MODEL, '--layers', '3'];

async function linesOf(path: string): Promise<IoiStep[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as IoiStep);
}

async function runsOf(home: string): Promise<string[]> {
  return (await readdir(join(home, 'runs'))).filter((name) => name.startsWith('ioi-'));
}

test('experiment ioi trains and fits what is missing, measures, reuses, and goes on after kill -9', async () => {
  await withFolder(async (folder) => {
    const rng = new Rng(21);
    const text = join(folder, 'text.jsonl');
    await writeFile(text, Array.from({ length: 500 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
    const [home, other] = [join(folder, 'home'), join(folder, 'other')];
    const made = ['--l1', '0', '2e-3', '--ratio', '0.5', '--text', text, '--tokens', '10k', '--context', '64'];
    const out = join(folder, 'out', 'ioi.html');
    const said = await runCli(home, [...IOI, ...made, '--prompts', '3', '--thresholds', '2', '--out', out]);
    assert.match(said, /threshold ordering: [\s\S]*3 tied-r0\.5-s0 .*\n3 tied-r0\.5-s0\.002 .*\n3 pca .*\n3 pca-nonneg /);

    const data = JSON.parse(await readFile(out.replace('.html', '.json'), 'utf8')) as IoiReportData;
    assert.equal(data.curves.length, 8);
    const page = await readFile(out, 'utf8');
    assert.doesNotMatch(page, /https?:|NaN|undefined/);
    assert.equal(page.match(/<svg viewBox="0 0 1000/g)?.length, 2);
    for (const { method, ordering, points, units, active, weightsHash, cost } of data.curves) {
      const what = `${method}, ${ordering}`;
      assert.equal(units, method.startsWith('tied') ? 96 : method === 'pca' ? 192 : 384, what);
      assert.deepEqual([points[0].patched, points.at(-1)!.patched], [0, active], what);
      assert.ok(points.every(({ patched }, i) => i === 0 || patched > points[i - 1].patched), what);
      assert.equal(points[0].kl, data.curves[0].points[0].kl, 'nothing patched is the same for all');
      assert.match(weightsHash, /^[0-9a-f]{64}$/);
      assert.ok(cost.runs > 0 && cost.plain.runs >= cost.sets);
      // A whole basis carries the whole difference.
      if (method.startsWith('pca')) assert.ok(points.at(-1)!.kl < 1e-3, `${what}: ${points.at(-1)!.kl}`);
      else assert.ok(points.at(-1)!.kl < points[0].kl, what);
    }
    assert.match(await runCli(home, [...IOI, ...made, '--prompts', '3', '--thresholds', '2', '--out', out]), /ioi: reused/);

    // Another seed: once without a break, once killed in the middle.
    await cp(home, other, { recursive: true });
    const first = await runsOf(home);
    const again = [...IOI, '--methods', 'tied-r0.5-s0.002', 'pca', '--prompts', '4', '--thresholds', '8', '--seed', '7', '--workers', '1'];
    await runCli(home, again);
    const name = (await runsOf(home)).find((one) => !first.includes(one))!;
    const run = startCli(other, again);
    const log = join(other, 'runs', `${name}.partial`, 'steps.ndjson');
    while ((await linesOf(log)).length < 4) {
      assert.equal(run.child.exitCode, null, run.output());
      await setTimeout(5);
    }
    run.child.kill('SIGKILL');
    assert.equal(await run.ended, 'SIGKILL', run.output());
    const kept = await linesOf(log);
    await appendFile(log, '{"method":"torn'); // as a kill in the middle of a write leaves it
    await runCli(other, again);
    const [expected, found] = [await linesOf(join(home, 'runs', name, 'steps.ndjson')), await linesOf(join(other, 'runs', name, 'steps.ndjson'))];
    assert.deepEqual(found.slice(0, kept.length), kept, 'what was measured stays');
    assert.equal(found.length, expected.length);
    assert.ok(kept.length < found.length);
    for (const [i, step] of found.entries()) {
      assert.deepEqual([step.method, step.ordering, step.tau, step.members], [expected[i].method, expected[i].ordering, expected[i].tau, expected[i].members]);
      assert.ok(Math.abs(step.kl - expected[i].kl) < 1e-4 * (1 + expected[i].kl), `step ${i}: ${step.kl} for ${expected[i].kl}`);
    }
  });
});

test('experiment ioi says what is wrong', async () => {
  await withFolder(async (folder) => {
    const names = join(folder, 'names.txt');
    await writeFile(names, 'Mary\nXiomara\n\nJohn\n');
    assert.match(await runCli(folder, [...IOI, '--names', names], 2), /of 3 names this tokenizer has 2 as one token \(Mary, John\); give others with --names/);
    assert.match(await runCli(folder, [...IOI, '--l1', '0', 'abc'], 1), /'--l1 <coefficient...>' argument 'abc' is invalid. expected a number/);
    assert.match(await runCli(folder, [...IOI, '--methods', 'tied-r9'], 2), /no dictionaries of tied-r9/);
  });
});

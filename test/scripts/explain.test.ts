import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import { Rng } from '../../src/math/rng.ts';
import { startCli, type CliRun } from '../helpers/cli.ts';
import { hashJudge, hashLevels } from '../helpers/hashJudge.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { withOpenaiServer, type OpenaiServer } from '../helpers/openaiServer.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
const DICTIONARY = '1-tiny';
const EXPLAINER = 'token-act-pair-v1@rules';
const CONCURRENCY = 6;
const rules = { reply: hashJudge, alternatives: hashLevels };

/** A home with one small dictionary, trained and analysed; every test works on a copy. */
let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'feature-catalog-test-'));
  const rng = new Rng(11);
  const text = join(folder, 'text.jsonl');
  await writeFile(text, Array.from({ length: 2500 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
  const home = join(folder, 'prepared');
  await finish(startCli(home, ['train', '--model', MODEL, '--text', text, '--tokens', '80k', '--context', '64', '--layers', '1', '--ratio', '0.25', '--held-out-vectors', '2048', '--block-vectors', '8192', '--set', 'tiny']));
  await finish(startCli(home, ['analyse', '--model', 'demo', '--set', 'tiny']));
});
after(() => rm(folder, { recursive: true, force: true }));

async function copyOfHome(name: string): Promise<string> {
  const home = join(folder, name);
  await cp(join(folder, 'prepared'), home, { recursive: true });
  return home;
}

function explain(home: string, server: OpenaiServer | null, args: readonly string[]): CliRun {
  const asks = server === null ? [] : ['--explainer', 'token-act-pair', '--llm', 'rules', '--concurrency', String(CONCURRENCY)];
  return startCli(home, ['explain', '--model', 'demo', '--set', 'tiny', ...asks, ...args], { OPENAI_BASE_URL: server?.url ?? '', OPENAI_API_KEY: server === null ? '' : 'sk-hunter2', EXPLAIN_MODEL: '', JUDGE_MODEL: '', EMBEDDING_MODEL: '' });
}

async function finish(run: CliRun, expected = 0): Promise<string> {
  const code = await run.ended;
  assert.equal(code, expected, run.output());
  assert.ok(!run.output().includes('hunter2'), 'the key is never shown');
  return run.output();
}

/** Bytes of the current explanations and metrics of the run. */
async function explained(home: string): Promise<{ text: string; metrics: Readonly<Record<string, unknown>> }> {
  const current = (await readCurrentRuns(home, 'demo'))!.dictionaries[DICTIONARY]!;
  const dir = join(home, current.explain[EXPLAINER]!);
  return { text: await readFile(join(dir, 'explanations.ndjson'), 'utf8'), metrics: (await readManifest(dir)).run.metrics };
}

/** Whole lines in the reply cache, whatever a kill tore. */
async function repliesOnDisk(home: string): Promise<number> {
  const replies = join(home, 'replies');
  const names = await readdir(replies).catch(() => [] as string[]);
  let lines = 0;
  for (const name of names) lines += (await readFile(join(replies, name), 'utf8')).split('\n').length - 1;
  return lines;
}

const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((all, n) => all + n, 0);

/** Waits until it is so; false when the process ended before. */
async function reaches(run: CliRun, so: () => boolean): Promise<boolean> {
  while (!so()) {
    if (run.child.exitCode !== null) return false;
    await sleep(2);
  }
  return run.child.exitCode === null;
}

test('killed again and again, over a server that goes wrong in every way: the same bytes as without, and no reply on disk is paid for again', async () => {
  const args = ['--scorers', 'simulation,detection', '--features', '10'];
  const whole = await copyOfHome('whole');
  await withOpenaiServer(rules, async (server) => finish(explain(whole, server, args)));
  const expected = (await explained(whole)).text;
  assert.equal(expected.trimEnd().split('\n').length, 10);

  const faults = { seed: 5, rate: 0.1, kinds: ['no-answer', 'dropped-before', 'rate-limit', 'rate-limit-bare', 'server-error', 'overloaded', 'dropped-after', 'cut-body', 'truncated-json', 'not-json', 'empty-choices', 'slow-body', 'missing-usage'] } as const;
  const killed = await copyOfHome('killed');
  await withOpenaiServer({ ...rules, faults, latencyMs: 3 }, async (server) => {
    const command = [...args, '--timeout', '1'];
    const rng = new Rng(3);
    let kills = 0;
    for (let round = 0; ; round++) {
      const paidBefore = sum(server.stats().paid);
      const diskBefore = await repliesOnDisk(killed);
      const run = explain(killed, server, command);
      const target = paidBefore + 1 + rng.int(40);
      if (round < 4 && (await reaches(run, () => sum(server.stats().paid) >= target))) {
        run.child.kill('SIGKILL');
        kills++;
      }
      const code = await run.ended;
      for (let look = 0; look < 100 && server.stats().open > 0; look++) await sleep(20);
      const paid = sum(server.stats().paid) - paidBefore;
      const kept = (await repliesOnDisk(killed)) - diskBefore;
      // One entry says what the server can do, which took two requests.
      const probing = round === 0 ? 1 : 0;
      if (code === 'SIGKILL') {
        // Twice the concurrency may be on its way to the disk (cachedChat): as many again wait there as are being asked.
        assert.ok(paid - kept >= -probing && paid - kept <= 2 * CONCURRENCY + probing, `round ${round}: ${paid} paid, ${kept} came to disk: more were lost than were under way`);
        continue;
      }
      assert.equal(code, 0, run.output());
      assert.equal(paid, kept, 'after the last kill every reply paid for is new and on disk');
      break;
    }
    assert.ok(kills >= 3, `${kills} kills: the test killed too late`);
    const { faults: met, tokens } = server.stats();
    assert.ok(met.size >= 6, `only ${[...met.keys()].join(', ')} happened`);
    const { text, metrics } = await explained(killed);
    assert.equal(text, expected, 'byte-identical to the uninterrupted run');
    const asked = metrics['asked'] as { promptTokens: number; completionTokens: number };
    const truly = tokens.paid.prompt + tokens.paid.completion + tokens.lost.prompt + tokens.lost.completion;
    assert.ok(asked.promptTokens + asked.completionTokens >= truly, `the ledger has ${asked.promptTokens + asked.completionTokens} tokens, the server gave ${truly}`);
  });
});

test('a budget stops before it is passed, with status 4; what was finished can be loaded; a larger one goes on and pays nothing twice', async () => {
  const home = await copyOfHome('budget');
  await withOpenaiServer(rules, async (server) => {
    const args = ['--scorers', 'simulation', '--features', '20', '--price-in', '1', '--price-out', '2'];
    const output = await finish(explain(home, server, [...args, '--budget', '120k']), 4);
    const spent = (): number => Object.values(server.stats().tokens.paid).reduce((a, b) => a + b, 0);
    assert.ok(spent() <= 120_000 && spent() > 60_000, `${spent()} tokens were spent`);
    const { metrics, text } = await explained(home);
    const first = metrics['features'] as number;
    assert.ok(first >= 1 && first < 20);
    assert.match(output, new RegExp(`The first ${first} of 20 features are finished.*BUDGET_REACHED`));
    assert.ok((metrics['asked'] as { usd: number }).usd > 0);
    // In money: a dollar a million of prompts.
    await finish(explain(home, server, [...args, '--budget-usd', '0.15']), 4);
    assert.ok(spent() <= 150_000 && spent() > 120_000, `${spent()} tokens were spent`);
    await finish(explain(home, server, args));
    assert.deepEqual([...server.stats().paid.values()].filter((times) => times > 1), [], 'nothing was paid for twice');
    const whole = await explained(home);
    assert.equal(whole.metrics['features'], 20);
    assert.ok(whole.text.startsWith(text));
    // Again: nothing to do, nothing asked.
    const arrived = server.stats().arrived;
    assert.match(await finish(explain(home, server, args)), /explain: reused/);
    assert.equal(server.stats().arrived, arrived);
  });
});

test('a dry run sends nothing, and expects what the run then asks', async () => {
  const home = await copyOfHome('dry');
  await withOpenaiServer(rules, async (server) => {
    const args = ['--scorers', 'simulation,detection,fuzzing', '--features', '8'];
    const output = await finish(explain(home, server, [...args, '--dry-run', '--price-in', '0.15', '--price-out', '0.6']));
    assert.equal(server.stats().arrived, 0);
    assert.deepEqual((await readdir(join(home, 'runs'))).filter((name) => name.startsWith('explain')), []);
    assert.match(output, /\$\d+\.\d\d/);
    const number = (pattern: RegExp): number => Number(pattern.exec(output)![1]!.replaceAll(',', ''));
    const requests = number(/expected, for ([\d,]+) requests/);
    await finish(explain(home, server, args));
    const { paid, tokens } = server.stats();
    assert.ok(Math.abs(sum(paid) - requests) <= 0.15 * requests, `${requests} requests expected, ${sum(paid)} made`);
    const all = tokens.paid.prompt + tokens.paid.completion;
    assert.ok(all <= number(/at most.*: ([\d,]+) tokens \(/), 'within the bound');
  });
});

test('explainers come to a loaded dictionary one by one, and its features are not written again', async () => {
  const home = await copyOfHome('loaded');
  await withCatalog(async ({ reader, url, sql }) => {
    const load = async (): Promise<string> => finish(startCli(home, ['load', '--model', 'demo', '--set', 'tiny'], { DATABASE_URL: url }));
    const versions = () => sql('SELECT "index", xmin::text AS version FROM exemplar ORDER BY 1');
    const summaries = async () => (await reader.explanationSummaries([(await reader.dictionaries({}))[0]!.id]))[0]!.map(({ explainer, features }) => [explainer, features]);
    await finish(explain(home, null, ['--features', '6']));
    assert.match(await load(), /load: demo\/1-tiny: \d+ features, \d+ exemplars, \d+ explanations/);
    const before = await versions();
    await withOpenaiServer(rules, async (server) => finish(explain(home, server, ['--scorers', 'detection', '--features', '4'])));
    assert.match(await load(), new RegExp(`load: demo/1-tiny: \\d+ explanations by ${EXPLAINER}, \\d+ features skipped`));
    assert.deepEqual(await summaries(), [['pattern-v1', 6], [EXPLAINER, 4]]);
    assert.match(await load(), /load: reused demo\/1-tiny/);
    // The same explainer over more features: another run, which replaces the first.
    await withOpenaiServer(rules, async (server) => finish(explain(home, server, ['--scorers', 'detection', '--features', '5'])));
    await load();
    assert.deepEqual(await summaries(), [['pattern-v1', 6], [EXPLAINER, 5]]);
    assert.deepEqual(await versions(), before);
  });
});

test('mistakes are told before anything is asked', async () => {
  const home = await copyOfHome('mistakes');
  await withOpenaiServer({ ...rules, refusesReading: ['echo'] }, async (server) => {
    const cases: readonly (readonly [OpenaiServer | null, string[], RegExp])[] = [
      [null, ['--explainer', 'max-act'], /asks a language model, and none was named: give --llm NAME.*local:FOLDER.*EXPLAIN_MODEL/],
      [null, ['--explainer', 'max-act', '--llm', 'm'], /no server is known for the model m: set OPENAI_BASE_URL/],
      [null, ['--explainer', 'max-act', '--llm', 'local:/nowhere/at-all'], /local:\/nowhere\/at-all: expected the folder of an instruct model/],
      [null, ['--scorers', 'detection'], /these scorers ask a language model/],
      [null, ['--scorers', 'embedding'], /EMBEDDING_MODEL/],
      [null, ['--budget-usd', '3'], /--price-in and --price-out/],
      [null, ['--protocol', 'paper'], /analyse --protocol paper --text/],
      [null, ['--dictionary', '7-none'], /no dictionary 7-none .*it has 1-tiny/],
      [server, ['--scorers', 'simulation'], /rules gives no log-probabilities of prompts; take --scorers simulation-json or detection/],
    ];
    for (const [at, args, message] of cases) assert.match(await finish(explain(home, at, args), 2), message, args.join(' '));
    assert.match(await finish(explain(home, null, ['--scorers', 'guessing']), 1), /expected some of simulation/);
    assert.equal((await readdir(join(home, 'runs'))).filter((name) => name.startsWith('explain')).length, 0);
  });
});

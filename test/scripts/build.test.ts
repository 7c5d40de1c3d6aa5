import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { readConfig } from '../../src/config.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import { startServer } from '../../src/main.ts';
import { Rng } from '../../src/math/rng.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { ask, at, list } from '../helpers/graphqlClient.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
const FEATURES = 96;

/** A small build: two layers, 96 features each, the first 48 explained. */
function buildArgs(text: string): string[] {
  return [
    'build', '--model', MODEL, '--text', text, '--tokens', '90k', '--context', '64', '--layers', '1,3', '--ratio', String(FEATURES / 192),
    '--held-out-vectors', '2048', '--block-vectors', '8192', '--checkpoint-blocks', '1', '--features', '48', '--best', '2', '--set', 'small',
  ];
}

async function writeText(folder: string): Promise<string> {
  const rng = new Rng(11);
  const path = join(folder, 'text.jsonl');
  await writeFile(path, Array.from({ length: 3000 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
  return path;
}

/** Everything a reader can see of a catalog, except when it was made. */
async function contents(home: string): Promise<unknown> {
  const catalog = await openCatalog({ home });
  try {
    const { reader } = catalog;
    const dictionaries = await reader.dictionaries({});
    const keys = dictionaries.flatMap(({ id, nFeatures }) => Array.from({ length: nFeatures }, (_, index) => ({ dictionaryId: id, index })));
    return {
      dictionaries: dictionaries.map(({ createdAt: _created, ...row }) => row),
      features: await reader.features(keys),
      explanations: await reader.explanations(keys),
      exemplars: await reader.exemplars(keys, ['top', 'quantile', 'random'], 100),
      edges: await reader.edges(keys, 'incoming', 1000),
      nearest: await reader.nearest(keys),
    };
  } finally {
    await catalog.close();
  }
}

test('kill -9 in every stage, then the same command: the same catalog as without', async () => {
  await withFolder(async (folder) => {
    const text = await writeText(folder);
    const whole = join(folder, 'whole');
    const killed = join(folder, 'killed');
    const args = buildArgs(text);
    await runCli(whole, args);

    const reached: string[] = [];
    for (const stage of ['tokens', 'train', 'analyse', 'explain', 'circuits', 'load']) {
      const run = startCli(killed, args);
      if (await stageUnderWay(run, killed, stage)) reached.push(stage);
      run.child.kill('SIGKILL');
      await run.ended;
    }
    assert.ok(reached.length >= 5, `killed in the middle of ${reached.join(', ')}: expected nearly every stage`);
    const last = await runCli(killed, args);
    assert.match(last, /train: reused/, 'finished stages are reused and said to be');
    assert.deepEqual(await contents(killed), await contents(whole));
    assert.deepEqual((await readdir(join(killed, 'runs'))).filter((name) => name.includes('partial')), [], 'nothing half-made stays');

    const again = await runCli(killed, args);
    for (const stage of ['tokens', 'train', 'analyse', 'explain', 'circuits', 'nearest', 'load']) assert.match(again, new RegExp(`${stage}: reused`));

    await featuresCauseWhatTheySay(whole);
  });
});

/** Waits until the stage has begun (its partial folder is there, or for load: circuits are done); false when it came and went. */
async function stageUnderWay(run: ReturnType<typeof startCli>, home: string, stage: string): Promise<boolean> {
  for (;;) {
    const runs = await readdir(join(home, 'runs')).catch(() => [] as string[]);
    const begun = stage === 'load' ? /circuits: (ran|reused)/.test(run.output()) : runs.some((name) => name.startsWith(`${stage}-`) && name.endsWith('.partial'));
    if (begun) {
      await sleep(stage === 'train' || stage === 'explain' ? 700 : 60);
      return run.child.exitCode === null;
    }
    if (run.child.exitCode !== null || runs.some((name) => name.startsWith(`${stage}-`))) return false;
    await sleep(5);
  }
}

/**
 * The circle of the catalog: a feature found by search is patched through the API. Ablating it where its strongest exemplar
 * fires must lower the log-probability of the tokens it is said to promote, for most features.
 */
async function featuresCauseWhatTheySay(home: string): Promise<void> {
  const server = await startServer({ ...readConfig({}), home, host: '127.0.0.1', port: 0, logLevel: 'silent' }, pino({ level: 'silent' }));
  try {
    const page = await ask(server.url, `{ features(filter: { model: "demo", dictionaries: ["3-small"], explained: true }, orderBy: SCORE_DESC, first: 12) { nodes {
      address explanations(first: 1) { nodes { description } } topLogits { text }
      exemplars(kinds: [TOP], first: 1) { texts activations } } } }`);
    const features = list(page, 'features.nodes');
    assert.equal(features.length, 12);
    const description = String(at(features[0]!, 'explanations.nodes.0.description'));
    const word = /[A-Za-z]{2,}/.exec(description)?.[0] ?? 'token';
    const found = await ask(server.url, 'query ($q: String!) { searchFeatures(query: $q, first: 50) { nodes { address } } }', { q: word });
    assert.ok(list(found, 'searchFeatures.nodes').some((node) => at(node, 'address') === at(features[0]!, 'address')), `searching "${word}" finds the feature described by ${description}`);

    let lowered = 0;
    for (const feature of features) {
      const texts = list(feature, 'exemplars.0.texts').map(String);
      const activations = list(feature, 'exemplars.0.activations').map(Number);
      const peak = activations.indexOf(Math.max(...activations));
      const prompt = texts.slice(0, peak + 1).join('').replace(/^<\|endoftext\|>/, '');
      if (prompt === '' || prompt.includes('\ufffd') || prompt.includes('<|endoftext|>')) continue;
      const answer = await ask(server.url, `mutation ($input: PatchInput!) { patch(input: $input) { userErrors { message } patchRun { features { before after } positions { klFromBase changes { token baseLogProb patchedLogProb } } } } }`, {
        input: { model: 'demo', base: prompt, topTokens: 50, features: [{ feature: at(feature, 'address'), operation: 'ABLATE' }] },
      });
      assert.deepEqual(at(answer, 'patch.userErrors'), []);
      const before = list(answer, 'patch.patchRun.features.0.before').map(Number);
      assert.ok(Math.max(...before) > 0, `${String(at(feature, 'address'))} fires on its own exemplar`);
      assert.ok(list(answer, 'patch.patchRun.features.0.after').every((value) => value === 0));
      assert.ok(Number(at(answer, 'patch.patchRun.positions.0.klFromBase')) > 0);
      const promoted = new Set(list(feature, 'topLogits').map((entry) => String(at(entry, 'text'))));
      const moved = list(answer, 'patch.patchRun.positions.0.changes').filter((change) => promoted.has(String(at(change, 'token'))));
      const drop = moved.reduce((sum: number, change) => sum + Number(at(change, 'patchedLogProb')) - Number(at(change, 'baseLogProb')), 0);
      if (moved.length > 0) lowered += drop < 0 ? 1 : -1;
    }
    assert.ok(lowered > 0, `ablation lowers what features promote more often than not (balance ${lowered})`);
  } finally {
    await server.close();
  }
}

test('mistakes on the command line are named, with status 2', async () => {
  await withFolder(async (folder) => {
    const text = await writeText(folder);
    const cases: readonly (readonly [string[], RegExp])[] = [
      [['train', '--model', join(folder, 'nothing'), '--text', text], /expected a folder, a hub id.*found none/],
      [['train', '--model', MODEL, '--text', join(folder, 'absent.txt')], /absent\.txt cannot be read/],
      [['analyse', '--model', MODEL], /no dictionaries of set tied-r4/],
      [['train', '--model', MODEL, '--text', text, '--layers', '9'], /layers 0 to 3/],
      [['train', '--model', MODEL, '--text', text, '--context', '4096'], /256/],
    ];
    assert.match(await runCli(text, ['train', '--model', MODEL, '--text', text], 3), /disk: .*CATALOG_HOME/, 'a file where the home should be');
    for (const [args, message] of cases) assert.match(await runCli(join(folder, 'home'), args, 2), message, args.join(' '));
  });
});

test('every command says what its options are', async () => {
  await withFolder(async (folder) => {
    for (const command of ['demo', 'build', 'harvest', 'train', 'analyse', 'explain', 'circuits', 'nearest', 'load', 'serve']) {
      assert.match(await runCli(folder, [command, '--help']), /Usage: feature-catalog/);
    }
  });
});

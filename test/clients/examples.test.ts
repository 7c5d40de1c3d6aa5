import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MANY, withTinyServer } from '../graphql/withTinyServer.ts';

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL('../../scripts/examples/', import.meta.url));
const FEATURE = 'tiny/many/8';
const PROMPT = 'w1 w2 w3';

const python = await run('python3', ['--version']).then(() => true, () => false);

async function example(url: string, name: string, ...args: readonly string[]): Promise<string> {
  const program = name.endsWith('.py') ? 'python3' : process.execPath;
  const { stdout } = await run(program, [`${FOLDER}${name}`, ...args], { env: { ...process.env, CATALOG_URL: url, CATALOG_KEY: '', PYTHONIOENCODING: 'utf-8', PYTHONDONTWRITEBYTECODE: '1' } });
  return stdout;
}

test('each example in TypeScript does what it says, against a real server', async () => {
  await withTinyServer(async ({ url }) => {
    assert.match(await example(url, 'find.ts', 'giraffe "case 3"'), /^tiny\/many\/3 +the giraffe in layer 0, case 3 <b>\n$/);
    assert.match(await example(url, 'find.ts', 'zebra'), /no feature is described with "zebra"/);
    const read = await example(url, 'feature.ts', FEATURE);
    assert.match(read, /^tiny\/many\/8: active on \d+\.\d\d % of tokens/);
    assert.match(read, /pattern-v1: the parenthesis in layer 0, case 8 <b>\n {4}simulation-top-random by pattern-v1: /);
    assert.equal(read.match(/«w\d+»/g) === null, false, 'tokens it fires on are marked');
    const lines = (await example(url, 'page.ts', 'tiny/many')).trimEnd().split('\n');
    assert.deepEqual(lines.map((line) => line.split('\t')[0]), Array.from({ length: MANY }, (_, i) => `tiny/many/${i}`));
    assert.match(await example(url, 'patch.ts', 'giraffe', PROMPT), /^tiny\/many\/\d+: the giraffe .*\nablated in "w1 w2 w3": KL\(patched‖base\) = \d+\.\d{4} nats at the last token\n {2}"w\d+" +log p -/);
    const all = await example(url, 'patches.ts', 'tiny/many', PROMPT);
    assert.match(all, new RegExp(`^${MANY} ablations in `));
    assert.equal(all.trimEnd().split('\n').length, 11);
    await assert.rejects(example(url, 'feature.ts', 'tiny/many/9999'), /the catalog has no feature tiny\/many\/9999/);
    await assert.rejects(example(url, 'patches.ts', 'tiny/none', PROMPT), /the catalog has no dictionary tiny\/none/);
  });
});

test('each example in Python prints the same', { skip: python ? false : 'python3 is not there: the Python examples were not run' }, async () => {
  await withTinyServer(async ({ url }) => {
    for (const [name, args] of [['find', ['giraffe']], ['page', ['tiny/many']]] as const) assert.equal(await example(url, `${name}.py`, ...args), await example(url, `${name}.ts`, ...args), name);
    assert.match(await example(url, 'feature.py', FEATURE), /^tiny\/many\/8: active on .*\n {2}pattern-v1: the parenthesis in layer 0, case 8 <b>\n/);
    assert.match(await example(url, 'patch.py', FEATURE, PROMPT), /^after 'w3': KL\(patched\|\|base\) = \d+\.\d{4} nats, edit of norm \d+\.\d\d\n/);
    await assert.rejects(example(url, 'patch.py', 'tiny/none/0', PROMPT), /none/);
  });
});

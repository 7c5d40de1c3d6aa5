import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { recogniseForeign } from '../../src/adapters/formats/openForeign.ts';
import { writeSaelens } from '../../src/adapters/formats/saelensExport.ts';
import { readSafetensors } from '../../src/adapters/formats/safetensors.ts';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { encode } from '../../src/dictionary/encode.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import { Rng } from '../../src/math/rng.ts';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openRunStore, readManifest } from '../../src/adapters/files/runStore.ts';
import { readConfig } from '../../src/config.ts';
import { importStage, textSoFar, type ImportOptions } from '../../scripts/stages/import.ts';
import type { Workspace } from '../../scripts/workspace.ts';
import { hashModel } from '../helpers/hashModel.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { runCli } from '../helpers/cli.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
const F = 40;

async function writeText(folder: string): Promise<string> {
  const rng = new Rng(5);
  const path = join(folder, 'text.jsonl');
  await writeFile(path, Array.from({ length: 40 }, () => `${JSON.stringify({ text: generateDocument(rng) })}\n`).join(''));
  return path;
}

test('a SAELens folder becomes a catalogued dictionary in one command, and goes out again as it came', async () => {
  await withFolder(async (folder) => {
    const home = join(folder, 'home');
    const text = await writeText(folder);
    const source = join(folder, 'someones-sae');
    const original = tiedDictionary('2-saelens', 'resid_post.2', 192, F, { seed: 3, bias: -0.5 });
    await writeSaelens(source, original, { architecture: 'gpt_neox', name: 'demo' });
    const args = ['import', source, '--model', MODEL, '--text', text, '--context', '32', '--tokens', '2k'];

    const said = await runCli(home, args);
    assert.match(said, /import: demo\/2-saelens: untied, 40 features at resid_post\.2/);
    assert.match(said, /load: demo\/2-saelens: 40 features/);
    const again = await runCli(home, args);
    for (const stage of ['tokens', 'import', 'analyse', 'load']) assert.match(again, new RegExp(`${stage}: reused`));

    const current = (await readCurrentRuns(home, 'demo'))!.dictionaries['2-saelens']!;
    assert.equal(current.trainRows, 0);
    const { run } = await readManifest(join(home, current.train));
    assert.equal(run.stage, 'import');
    assert.deepEqual(Object.keys(run.inputs).sort(), ['cfg.json', 'model', 'sae_weights.safetensors']);
    assert.equal(run.inputs['sae_weights.safetensors'], (await readSafetensors(join(source, 'sae_weights.safetensors'))).sha256);

    const catalog = await openCatalog({ home });
    try {
      const [row, ...others] = await catalog.reader.dictionaries({ model: 'demo' });
      assert.equal(others.length, 0);
      assert.deepEqual([row!.name, row!.nFeatures, row!.hookPoint, row!.trainRun], ['2-saelens', F, 'resid_post.2', run.key]);
    } finally {
      await catalog.close();
    }
    await exemplarsAreTrue(join(home, current.analyse!, 'features-2-saelens.ndjson'), original);

    await runCli(home, ['export', '--model', 'demo', '--dictionary', '2-saelens', '--format', 'saelens', '--out', join(folder, 'out')]);
    for (const file of ['cfg.json', 'sae_weights.safetensors']) assert.deepEqual(await readFile(join(folder, 'out', file)), await readFile(join(source, file)), file);
    assert.match(await runCli(home, ['export', '--model', 'demo', '--dictionary', '2-saelens', '--format', 'saelens', '--out', join(folder, 'out')], 2), /is not empty/);
    assert.match(await runCli(home, ['export', '--model', 'demo', '--dictionary', '2-saelens', '--format', 'sparsify', '--out', join(folder, 'other')], 2), /not top-k.*\[UNSUPPORTED\]/);
    assert.match(await runCli(home, ['export', '--model', 'demo', '--dictionary', '7-x', '--format', 'saelens', '--out', join(folder, 'other')], 2), /has no dictionary 7-x.*2-saelens/);
  });
});

/** The activations the catalog shows are what the original dictionary gives on the model's own activations. */
async function exemplarsAreTrue(records: string, original: ReturnType<typeof tiedDictionary>): Promise<void> {
  const features = (await readFile(records, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as FeatureAnalysis);
  const alive = features.filter(({ exemplars }) => exemplars.length > 0);
  assert.ok(alive.length >= 3, `${alive.length} features fire`);
  const model = await openSubjectModel(MODEL, { device: 'cpu', workers: 1 });
  try {
    // Windows that begin with their row hold the whole context of their tokens.
    const whole = alive.flatMap(({ index, exemplars }) => exemplars.filter(({ start }) => start === 0).slice(0, 1).map((exemplar) => ({ index, exemplar }))).slice(0, 3);
    assert.ok(whole.length > 0);
    for (const { index, exemplar } of whole) {
      const ids = Int32Array.from(exemplar.ids);
      const { taps } = await model.forward({ batch: { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) }, taps: ['resid_post.2'], logits: 'none' });
      const codes = encode(original, taps.get('resid_post.2')!, [index]);
      for (const [t, activation] of exemplar.activations.entries()) assert.ok(Math.abs(codes[t]! - activation) < 1e-4 * Math.max(1, activation), `feature ${index}, position ${t}: ${codes[t]} and ${activation}`);
    }
  } finally {
    await model.close();
  }
}

test('what does not fit is said, with status 2, and nothing becomes current', async () => {
  await withFolder(async (folder) => {
    const home = join(folder, 'home');
    const text = await writeText(folder);
    const source = join(folder, 'sae');
    const other = join(folder, 'other-width');
    await writeSaelens(source, tiedDictionary('1-x', 'resid_post.1', 192, F, { seed: 3, bias: -0.5 }), { architecture: 'gpt_neox', name: 'pythia-14m' });
    await writeSaelens(other, tiedDictionary('1-x', 'resid_post.1', 64, F, { seed: 3, bias: -0.5 }), { architecture: 'gpt_neox', name: 'demo' });
    const common = ['--model', MODEL, '--text', text, '--context', '32', '--tokens', '1k', '--register-only'];
    const fails = async (args: readonly string[], message: RegExp): Promise<void> => assert.match(await runCli(home, args, 2), message, args.join(' '));
    await fails(['import', source, ...common], /of the model pythia-14m, not of demo.*--force/);
    await fails(['import', other, ...common], /reads 64 numbers, but resid_post\.1 of demo has 192/);
    await fails(['import', join(folder, 'nothing'), ...common], /expected a folder with a dictionary, or a hub id/);
    await fails(['import', source, '--model', MODEL], /give the text .* with --text/);
    await writeFile(join(source, 'sae_weights.safetensors'), (await readFile(join(source, 'sae_weights.safetensors'))).subarray(0, 5000));
    await fails(['import', source, ...common, '--force'], /truncated.*\[BAD_DICTIONARY\]/);
    assert.equal(await readCurrentRuns(home, 'demo'), null);
  });
});

const FORMATS = join(import.meta.dirname, '..', 'fixtures', 'formats');
const NOTHING_SAID: ImportOptions = { set: null, format: null, normFactor: null, hook: null, output: null, centred: null, force: false };

function workspaceIn(home: string): Workspace {
  return { config: { ...readConfig({}), home }, runs: openRunStore(home), artefacts: fileArtefacts(), progress: quietProgress() };
}

test('a folder of several hook points, and a list at one, give dictionaries of different names', async () => {
  await withFolder(async (home) => {
    const workspace = workspaceIn(home);
    const located = { name: 'hash', source: home, folder: home };
    const text = { tokens: 'runs/tokens-1', trainRows: 3 };
    const imported = async (folder: string, D: number, options: Partial<ImportOptions>): Promise<readonly string[]> =>
      (await importStage(workspace, located, hashModel({ D, layers: 12 }), { folder: join(FORMATS, folder), description: folder }, text, { ...NOTHING_SAID, ...options })).names;

    await assert.rejects(textSoFar(workspace, 'hash'), { code: 'BAD_INPUT', message: /no text of hash was read yet.*--text/ });
    await assert.rejects(imported('sparsify/run', 12, {}), { message: /of the model EleutherAI\/pythia-70m, not of hash/ });
    assert.deepEqual(await imported('sparsify/run', 12, { force: true, set: 's' }), ['1-mlp_in-s', '2-s', '10-s']);
    assert.deepEqual(await textSoFar(workspace, 'hash'), text);

    const { dIn } = (await (await recogniseForeign(join(FORMATS, 'learned_dicts'), null)).read())[0]!;
    await assert.rejects(imported('learned_dicts', dIn, {}), { message: /give --hook/ });
    const names = await imported('learned_dicts', dIn, { hook: 'mlp_out.4' });
    assert.deepEqual(names, names.map((_, i) => `4-mlp_out-learned-dicts-${i}`));
    assert.ok(names.length > 1);

    const current = (await readCurrentRuns(home, 'hash'))!.dictionaries;
    assert.equal(Object.keys(current).length, 3 + names.length);
    for (const [name, { weights: folder, tokens, trainRows, analyse }] of Object.entries(current)) {
      const { weights, quality } = await workspace.artefacts.readDictionary(join(home, folder));
      assert.deepEqual([weights.config.name, weights.config.model, quality, tokens, trainRows, analyse], [name, 'hash', null, text.tokens, 3, null]);
    }
  });
});

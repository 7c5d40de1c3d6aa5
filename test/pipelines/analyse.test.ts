import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openTokenRows, writeTokenRows } from '../../src/adapters/files/tokenRows.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { readFeature } from '../../src/causal/featureEdit.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import { Rng } from '../../src/math/rng.ts';
import { analyse, type AnalyseInput } from '../../src/pipelines/analyse.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';
import { readFixture } from '../lm/fixture.ts';

const ROWS = 60;
const COLS = 40;
const FROM = 5;
const TO = 58;

let model: SubjectModel;
before(async () => {
  model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
});
after(() => model.close());

async function setUp(folder: string): Promise<Omit<AnalyseInput, 'dir'>> {
  const rng = new Rng(11);
  const ids = Int32Array.from({ length: ROWS * COLS }, () => rng.int(model.info.vocabSize));
  const path = join(folder, 'tokens');
  await writeTokenRows(path, { cols: COLS, tokenizerHash: model.info.tokenizerHash, vocabSize: model.info.vocabSize }, [ids]);
  const { dModel } = model.info;
  return {
    model,
    dictionaries: [
      tiedDictionary('0-test', 'resid_post.0', dModel, 70, { seed: 1, bias: -0.8, inputScale: 0.1 }),
      tiedDictionary('2-test', 'resid_post.2', dModel, 50, { seed: 1, bias: -0.3 }),
      randomDictionary('1-topk', 'resid_post.1', dModel, 40, { seed: 4, architecture: 'topk', k: 5 }),
      randomDictionary('1-transcoder', 'mlp_in.1', dModel, 30, { seed: 5, architecture: 'jumprelu', threshold: 1, inputScale: 0.8, outputHookPoint: 'mlp_out.1', outputScale: 0.1, skip: true }),
      tiedDictionary('1-input', 'mlp_in.1', dModel, 20, { seed: 6, bias: -0.3 }),
    ],
    tokens: await openTokenRows(path),
    rows: { from: FROM, to: TO },
    artefacts: fileArtefacts(),
    progress: quietProgress(),
    seed: 3,
    batchTokens: 4 * COLS,
  };
}

/** A fresh run folder. */
async function runDir(folder: string, name: string): Promise<string> {
  await mkdir(join(folder, name));
  return join(folder, name);
}

async function featuresAt(path: string): Promise<FeatureAnalysis[]> {
  const features: FeatureAnalysis[] = [];
  for await (const feature of fileArtefacts().readRecords<FeatureAnalysis>(path)) features.push(feature);
  return features;
}

function close(found: number, expected: number, what: string): void {
  assert.ok(Math.abs(found - expected) <= 1e-4 * Math.max(1, Math.abs(expected)), `${what}: ${found}, expected ${expected}`);
}

test('finds what a brute-force reference finds', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const dir = await runDir(folder, 'run');
    const outputs = await analyse({ ...input, dir });
    const rows = Array.from({ length: TO - FROM }, (_, i) => FROM + i);
    const ids = await input.tokens.read(rows);
    const [unembedding, { gain }] = [await model.unembedding(), await model.finalNorm()];
    const d = model.info.dModel;
    for (const [k, weights] of input.dictionaries.entries()) {
      const hook = weights.config.hookPoint;
      const { taps } = await model.forward({ batch: { rows: rows.length, cols: COLS, ids, lengths: new Int32Array(rows.length).fill(COLS) }, taps: [hook], logits: 'none' });
      const features = await featuresAt(join(dir, outputs[k].file));
      assert.equal(features.length, weights.config.nFeatures);
      assert.equal(outputs[k].tokens, ids.length);
      let alive = 0;
      for (const feature of features) {
        const c = readFeature(weights, feature.index, taps.get(hook)!, 0, ids.length);
        const active = c.filter((v) => v > 0);
        if (active.length > 0) alive++;
        // A value within rounding of 0 may fall on either side.
        assert.ok(Math.abs(feature.density * ids.length - active.length) <= c.filter((v) => v < 1e-5 && v > 0).length + 1e-6);
        close(feature.maxActivation, Math.max(0, ...c), 'max');
        if (active.length > 0) close(feature.meanActivation!, active.reduce((s, v) => s + v, 0) / active.length, 'mean');
        const best = rows.map((_, b) => Math.max(...c.subarray(b * COLS, (b + 1) * COLS))).filter((v) => v > 0).sort((a, b) => b - a).slice(0, 20);
        const top = feature.exemplars.filter((e) => e.kind === 'top');
        assert.equal(top.length, best.length);
        assert.equal(new Set(top.map((e) => e.row)).size, top.length);
        top.forEach((e, rank) => close(e.maxActivation, best[rank], `top ${rank}`));
        for (const e of feature.exemplars) {
          const at = (e.row - FROM) * COLS + e.start;
          assert.deepEqual(e.ids, Array.from(ids.subarray(at, at + COLS)));
          e.activations.forEach((v, t) => close(v, c[at + t], 'activation'));
          assert.equal(e.maxActivation, Math.max(...e.activations));
        }
        // Output tokens: LayerNorm subtracts the mean, so the direction is centred.
        const f = Array.from(weights.decoder.subarray(feature.index * d, (feature.index + 1) * d), (v) => v * weights.config.outputScale);
        const mean = f.reduce((s, v) => s + v, 0) / d;
        const effect = Array.from({ length: model.info.vocabSize }, (_, v) => f.reduce((s, x, q) => s + (x - mean) * gain[q] * unembedding[v * d + q], 0));
        const order = effect.toSorted((a, b) => b - a);
        // What only the MLP sees has no tokens of its own.
        for (const list of [feature.topLogits, feature.bottomLogits]) assert.equal(list.length, hook === 'mlp_in.1' && weights.config.outputHookPoint === null ? 0 : 10);
        feature.topLogits.forEach(({ id, value }, r) => (close(value, order[r], 'top logit'), close(value, effect[id], 'logit of the token')));
        feature.bottomLogits.forEach(({ id, value }, r) => (close(value, order[order.length - 1 - r], 'bottom logit'), close(value, effect[id], 'logit of the token')));
        const cosines = Array.from({ length: weights.config.nFeatures }, (_, j) => f.reduce((s, x, q) => s + (x / weights.config.outputScale) * weights.decoder[j * d + q], 0));
        const near = cosines.map((cosine, index) => ({ cosine, index })).filter(({ index }) => index !== feature.index).sort((a, b) => b.cosine - a.cosine).slice(0, 10);
        assert.deepEqual(feature.neighbours.map((n) => n.index), near.map((n) => n.index));
        feature.neighbours.forEach((n, r) => close(n.cosine, near[r].cosine, 'cosine'));
      }
      assert.equal(outputs[k].alive, alive);
      assert.ok(alive > 10);
    }
    await input.tokens.close();
  }));

test('interrupted anywhere and run again, it gives the same bytes', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const whole = await analyse({ ...input, dir: await runDir(folder, 'whole') });
    const dir = await runDir(folder, 'broken');
    /** A token file that fails at its nth read from now, as a killed process would stop there. */
    const failing = (n: number): TokenRows => {
      let left = n;
      return { ...input.tokens, read: (indices) => (left-- > 0 ? input.tokens.read(indices) : Promise.reject(new Error('pulled the plug'))) };
    };
    const progress = quietProgress();
    // 14 batches of 4 rows; after them one read a dictionary for the exemplars' texts.
    for (const n of [3, 6, 4, 1, 1]) {
      await assert.rejects(analyse({ ...input, tokens: failing(n), dir, checkpointSeconds: 0, progress }), /pulled the plug/);
    }
    assert.ok(progress.lines.some((line) => /continuing at row/.test(line)), 'it must have resumed');
    const resumed = await analyse({ ...input, dir, checkpointSeconds: 0 });
    assert.deepEqual(resumed.map((o) => o.hash), whole.map((o) => o.hash));
    for (const { file } of resumed) assert.ok((await readFile(join(dir, file))).equals(await readFile(join(folder, 'whole', file))));
    // Done: a further call reads nothing.
    assert.deepEqual(await analyse({ ...input, tokens: failing(0), dir }), resumed);
    await input.tokens.close();
  }));

test('bad input is a named error', () =>
  withFolder(async (folder) => {
    const input = { ...(await setUp(folder)), dir: join(folder, 'run') };
    const [first, second] = input.dictionaries;
    const cases: [Partial<AnalyseInput>, string, RegExp][] = [
      [{ rows: { from: 5, to: 5 } }, 'BAD_INPUT', /at least one/],
      [{ rows: { from: 0, to: ROWS + 1 } }, 'BAD_INPUT', /0 to 60/],
      [{ dictionaries: [] }, 'BAD_INPUT', /no dictionaries/],
      [{ dictionaries: [first, { ...second, config: { ...second.config, name: first.config.name } }] }, 'BAD_INPUT', /different names/],
      [{ dictionaries: [{ ...first, config: { ...first.config, dIn: 7 } }] }, 'BAD_DICTIONARY', /vectors of 7 numbers/],
      [{ tokens: { ...input.tokens, tokenizerHash: 'x', cols: COLS, rows: ROWS } }, 'TOKENIZER_MISMATCH', /tokenise/],
      [{ tokens: { ...input.tokens, cols: 1000 } }, 'TEXT_TOO_LONG', /at most 48/],
    ];
    for (const [change, code, message] of cases) {
      await assert.rejects(analyse({ ...input, ...change }), (error) => error instanceof CallerError && error.code === code && message.test(error.message));
    }
    await input.tokens.close();
  }));

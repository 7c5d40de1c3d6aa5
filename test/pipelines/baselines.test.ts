import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openDictionaryReader } from '../../src/adapters/ort/dictionaryReader.ts';
import { openGraphRunner } from '../../src/adapters/ort/graphRunner.ts';
import { layoutRows } from '../../src/activations/rowSampler.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { VarianceMeter } from '../../src/math/varianceMeter.ts';
import { fitBaselines } from '../../src/pipelines/baselines.ts';
import type { BaselinePorts, FittedBaseline } from '../../src/pipelines/baselines.ts';
import { BASELINE_DEFAULTS } from '../../src/pipelines/baselinesOptions.ts';
import type { BaselineOptions } from '../../src/pipelines/baselinesOptions.ts';
import { graphKernels } from '../../src/pipelines/graphKernels.ts';
import { modelSource } from '../../src/pipelines/harvest.ts';
import { hashModel } from '../helpers/hashModel.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const hookPoints = ['resid_post.0', 'mlp_out.1'] as const;
const tokens = memoryTokens(200, 16);
const model = hashModel({ jitter: 1 });
const D = model.info.dModel;
const options: BaselineOptions = { ...BASELINE_DEFAULTS, topK: [4], ratio: 2, blockVectors: 700, heldOutVectors: 200, skipPositions: 1, sampleVectors: 1000, nmf: { ...BASELINE_DEFAULTS.nmf, maxIterations: 30, sampleVectors: 500 }, seed: 3 };

const runner = openGraphRunner({ threads: 1 });
const kernels = graphKernels(runner);
after(() => runner.close());

function portsOf(): BaselinePorts & { readonly progress: ReturnType<typeof quietProgress> } {
  const source = modelSource({ model, tokens, hookPoints, skipPositions: options.skipPositions, tokensPerForward: 64 });
  return { source, kernels, reader: openDictionaryReader({ workers: 1 }), artefacts: fileArtefacts(), progress: quietProgress() };
}

const inputOf = (dir: string) => ({ model: 'hash', rows: tokens.rows, cols: tokens.cols, run: 'key', dir });

async function hashesOf(dir: string, fitted: readonly FittedBaseline[]): Promise<string[]> {
  return Promise.all(fitted.map(async ({ name }) => (await fileArtefacts().readDictionary(join(dir, name))).weights.config.weightsHash));
}

test('every kind at every hook point, with its quality as the plain encoder finds it on the held-out rows', async () => {
  await withFolder(async (dir) => {
    const fitted = await fitBaselines(portsOf(), inputOf(dir), options);
    const sets = ['pca', 'pca-k4', 'ica', 'ica-k4', 'nmf', 'nmf-k4', 'neuron', 'neuron-k4', 'random-r2', 'random-r2-k4'];
    assert.deepEqual(fitted.map(({ name }) => name), [...sets.map((set) => `0-${set}`), ...sets.map((set) => `1-mlp_out-${set}`)]);
    const of = (name: string): FittedBaseline => fitted.find((each) => each.name === name)!;
    for (const layer of ['0', '1-mlp_out']) {
      for (const exact of ['pca', 'ica']) assert.ok(of(`${layer}-${exact}`).quality.fvu < 1e-9, `${layer}-${exact}: fvu ${of(`${layer}-${exact}`).quality.fvu}`);
      assert.ok(of(`${layer}-pca-k4`).quality.fvu < of(`${layer}-neuron-k4`).quality.fvu);
      const nmf = of(`${layer}-nmf`);
      assert.ok(Number(nmf.fit['fvuFitted']) < 0.5 && nmf.quality.fvu < 0.5, `nmf: fitted ${nmf.fit['fvuFitted']}, dictionary ${nmf.quality.fvu}`);
      const ica = of(`${layer}-ica`).fit;
      assert.equal(ica['converged'], true, JSON.stringify(ica));
      assert.equal(ica['components'], D);
      assert.equal(ica['fittedTo'], 1000);
      assert.equal(of(`${layer}-nmf`).fit['fittedTo'], 500);
    }

    const layout = layoutRows({ rows: tokens.rows, cols: tokens.cols, skipPositions: 1, blockVectors: 700, heldOutVectors: 200, seed: 3 });
    const rows = layout.heldOut.flatMap((group) => [...group.rows]);
    const ids = await tokens.read(rows);
    const { taps } = await model.forward({ batch: { rows: rows.length, cols: 16, ids, lengths: new Int32Array(rows.length).fill(16) }, taps: hookPoints, logits: 'none' });
    for (const { name, hookPoint, k, quality } of fitted) {
      const { weights, quality: stored } = await fileArtefacts().readDictionary(join(dir, name));
      assert.deepEqual(stored, quality);
      assert.equal(weights.config.hookPoint, hookPoint);
      assert.equal(weights.config.k, k);
      const x = withoutFirst(taps.get(hookPoint)!);
      const codes = encode(weights, x);
      const back = decode(weights, codes);
      const meter = new VarianceMeter(D);
      meter.add(x);
      const error = x.reduce((sum, value, i) => sum + (value - back[i]!) ** 2, 0);
      assert.equal(quality.vectors, x.length / D);
      assert.ok(Math.abs(error / meter.sumOfSquares() - quality.fvu) < 1e-4 * Math.max(quality.fvu, 1e-3), `${name}: fvu ${error / meter.sumOfSquares()}, stored ${quality.fvu}`);
      if (k !== null) assert.ok(quality.l0 <= k);
    }
  });
});

function withoutFirst(x: Float32Array): Float32Array {
  return x.filter((_, i) => Math.floor(i / D) % 16 > 0);
}

test('killed anywhere and started again: the same weights, and nothing is fitted twice', async () => {
  // The sample is all vectors: nothing may be taken from the covariance that a continued run no longer has.
  const some: BaselineOptions = { ...options, kinds: ['pca', 'ica', 'nmf'], sampleVectors: 10_000 };
  await withFolder(async (dir) => {
    const whole = join(dir, 'whole');
    const expected = await fitBaselines(portsOf(), inputOf(whole), some);
    const hashes = await hashesOf(whole, expected);
    const killed = join(dir, 'killed');
    let written = 0;
    for (const stopAfter of [1, 4, 4]) {
      const ports = portsOf();
      let left = stopAfter;
      const artefacts: BaselinePorts['artefacts'] = {
        ...ports.artefacts,
        async writeDictionary(...args) {
          if (left-- === 0) throw new Error('killed');
          written++;
          return ports.artefacts.writeDictionary(...args);
        },
      };
      await assert.rejects(fitBaselines({ ...ports, artefacts }, inputOf(killed), some), /killed/);
    }
    assert.equal(written, 9);
    const ports = portsOf();
    assert.deepEqual(await fitBaselines(ports, inputOf(killed), some), expected);
    assert.equal(ports.progress.lines.filter((line) => line.includes('held-out')).length, 3);
    assert.deepEqual(await hashesOf(killed, expected), hashes);
    const again = portsOf();
    assert.deepEqual(await fitBaselines(again, inputOf(killed), some), expected);
    assert.deepEqual(again.progress.lines, []);
  });
});

test('what did not converge is said and recorded', async () => {
  await withFolder(async (dir) => {
    const ports = portsOf();
    const fitted = await fitBaselines(ports, inputOf(dir), { ...options, kinds: ['ica', 'nmf'], topK: [], ica: { maxIterations: 2, tolerance: 1e-6 }, nmf: { ...options.nmf, maxIterations: 3 } });
    for (const { fit } of fitted) assert.equal(fit['converged'], false);
    assert.equal(ports.progress.lines.filter((line) => line.includes('did not converge')).length, 4);
  });
});

test('options out of range and activations that are no numbers are refused before anything is written', async () => {
  await withFolder(async (dir) => {
    const refused = async (change: Partial<BaselineOptions>, says: RegExp, ports = portsOf()): Promise<void> => {
      await assert.rejects(fitBaselines(ports, inputOf(dir), { ...options, ...change }), (error) => error instanceof CallerError && error.code === 'BAD_INPUT' && says.test(error.message), String(says));
    };
    await refused({ topK: [17] }, /top-k: expected 1 to 16, found 17/);
    await refused({ kinds: [] }, /kinds/);
    await refused({ ratio: 0 }, /ratio/);
    await refused({ sampleVectors: 0 }, /sampleVectors/);
    await refused({ heldOutVectors: 1.5 }, /heldOutVectors/);
    await refused({ ica: { maxIterations: 0, tolerance: 1e-4 } }, /ica iterations/);
    const ports = portsOf();
    const broken: BaselinePorts['source'] = {
      ...ports.source,
      async read(...args) {
        const read = await ports.source.read(...args);
        return new Map([...read].map(([hook, list]): [HookPoint, Float32Array] => [hook, list.fill(NaN, 5, 6)]));
      },
    };
    await refused({}, /not all finite/, { ...ports, source: broken });
    for await (const record of fileArtefacts().readRecords(join(dir, 'fitted.ndjson'), { optional: true })) assert.fail(JSON.stringify(record));
  });
});

import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openWeightFiles, readTensor } from '../../src/adapters/ort/weightFiles.ts';
import { runCli } from '../helpers/cli.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODELS = join(import.meta.dirname, '..', 'fixtures', 'lm');
const DEMO = join(import.meta.dirname, '..', '..', 'models', 'demo');

async function tensorsOf(folder: string): Promise<Map<string, Float32Array>> {
  const { tensors } = await openWeightFiles(folder);
  const out = new Map<string, Float32Array>();
  for (const [name, location] of tensors) {
    const data = new Float32Array(location.dims.reduce((product, dim) => product * dim, 1));
    await readTensor(location, data);
    out.set(name, data);
  }
  return out;
}

/** Mean and standard deviation. */
function moments(data: Float32Array): readonly [number, number] {
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  return [mean, Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length)];
}

test('the demo model (float16): gains 1, biases 0, matrices N(0, initializer_range); same seed, same bytes; runs', async () => {
  await withFolder(async (folder) => {
    const [a, b, other] = ['a', 'b', 'other'].map((name) => join(folder, name)) as [string, string, string];
    await runCli(folder, ['randomise', '--model', DEMO, '--out', a]);
    await runCli(folder, ['randomise', '--model', DEMO, '--out', b]);
    await runCli(folder, ['randomise', '--model', DEMO, '--out', other, '--seed', '1']);
    const bytes = await readFile(join(a, 'model.safetensors'));
    assert.ok(bytes.equals(await readFile(join(b, 'model.safetensors'))));
    assert.ok(!bytes.equals(await readFile(join(other, 'model.safetensors'))));
    assert.ok((await readFile(join(a, 'tokenizer.json'))).equals(await readFile(join(DEMO, 'tokenizer.json'))));

    const [before, after] = [await tensorsOf(DEMO), await tensorsOf(a)];
    assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort());
    for (const [name, data] of after) {
      const [mean, deviation] = moments(data);
      if (name.endsWith('bias')) assert.ok(data.every((value) => value === 0), name);
      else if (/norm/.test(name)) assert.ok(data.every((value) => value === 1), name);
      else {
        assert.ok(Math.abs(mean) < (5 * 0.02) / Math.sqrt(data.length), `${name}: mean ${mean}`);
        assert.ok(Math.abs(deviation / 0.02 - 1) < 5 / Math.sqrt(2 * data.length) + 1e-3, `${name}: deviation ${deviation}`);
      }
    }
    const model = await openSubjectModel(a, { device: 'cpu', workers: 1 });
    try {
      const { logits } = await model.forward({ batch: { rows: 1, cols: 4, ids: Int32Array.of(5, 6, 7, 8), lengths: Int32Array.of(4) }, taps: [], logits: 'all' });
      assert.ok(logits!.every(Number.isFinite));
      assert.ok(moments(logits!)[1] < 2, 'logits of an untrained model are near each other');
    } finally {
      await model.close();
    }
  });
});

test("GPT-2's residual projections are smaller, and embeddings can be kept", async () => {
  await withFolder(async (folder) => {
    const source = join(folder, 'source');
    await cp(join(MODELS, 'gpt2-plain'), source, { recursive: true });
    const config = JSON.parse(await readFile(join(source, 'config.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(source, 'config.json'), JSON.stringify({ ...config, initializer_range: 0.5 }));
    const out = join(folder, 'out');
    await runCli(folder, ['randomise', '--model', source, '--out', out, '--keep-embeddings']);
    const [before, after] = [await tensorsOf(source), await tensorsOf(out)];
    for (const [name, data] of after) {
      if (/wte|wpe/.test(name)) assert.deepEqual(data, before.get(name), name);
      else if (data.length > 100 && name.endsWith('.weight')) {
        const expected = name.endsWith('c_proj.weight') ? 0.5 / Math.sqrt(2 * Number(config['n_layer'])) : 0.5;
        assert.ok(Math.abs(moments(data)[1] / expected - 1) < 5 / Math.sqrt(2 * data.length), `${name}: ${moments(data)[1]}, expected ${expected}`);
      }
    }
    const said = await runCli(folder, ['randomise', '--model', source, '--out', out], 2);
    assert.match(said, /expected a new or empty folder/);
  });
});

test('a tied Llama keeps its names and shapes and runs', async () => {
  await withFolder(async (folder) => {
    const out = join(folder, 'out');
    await runCli(folder, ['randomise', '--model', join(MODELS, 'llama-tied'), '--out', out]);
    const [before, after] = [await tensorsOf(join(MODELS, 'llama-tied')), await tensorsOf(out)];
    assert.deepEqual([...after].map(([name, data]) => [name, data.length]).sort(), [...before].map(([name, data]) => [name, data.length]).sort());
    const model = await openSubjectModel(out, { device: 'cpu', workers: 1 });
    await model.close();
  });
});

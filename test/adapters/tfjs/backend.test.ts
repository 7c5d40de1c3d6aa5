import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openTfjsTrainingEngine } from '../../../src/adapters/tfjs/trainingEngine.ts';
import { B, centre, data, specOf } from '../../contract/trainingEngineData.ts';

const ROOT = join(import.meta.dirname, '../../..');
const url = (path: string): string => JSON.stringify(pathToFileURL(join(ROOT, path)).href);

function nativeInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu');
    return true;
  } catch {
    return false;
  }
}

test('without the native package, WebAssembly is taken and the reason told once', { skip: nativeInstalled() && 'native TensorFlow is installed here' }, async () => {
  const lines: string[] = [];
  const engine = await openTfjsTrainingEngine({ workers: 2, log: (line) => lines.push(line) });
  try {
    assert.equal(engine.name, 'tfjs wasm');
    assert.equal(engine.concurrency, 2);
    assert.deepEqual(lines, ['tfjs wasm; tensorflow cannot be used: its package is not installed']);
  } finally {
    await engine.close();
  }
  await assert.rejects(openTfjsTrainingEngine({ workers: 1, backend: 'tensorflow' }), {
    name: 'CallerError',
    code: 'DEVICE_UNAVAILABLE',
    message: /tensorflow cannot be used: its package is not installed\. Install its package/,
  });
});

test('the plain JavaScript backend trains as the WebAssembly one does', async () => {
  const spec = specOf('untied', { learningRate: 3e-3 });
  const losses: number[][] = [];
  for (const backend of ['wasm', 'cpu'] as const) {
    const engine = await openTfjsTrainingEngine({ workers: 1, backend });
    try {
      assert.equal(engine.name, `tfjs ${backend}`);
      const trainer = await engine.create(spec, { kind: 'fresh', centre: centre(spec) });
      losses.push((await trainer.steps(data(spec, 10 * B, 1).vectors)).map(({ loss }) => loss));
    } finally {
      await engine.close();
    }
  }
  losses[0]!.forEach((loss, i) => assert.ok(Math.abs(losses[1]![i]! / loss - 1) < 1e-5, `step ${i + 1}: ${loss} and ${losses[1]![i]}`));
});

test('nothing is printed, the .wasm files are found from any folder, and an idle engine does not keep the process alive', async () => {
  const script = `
    import { openTfjsTrainingEngine } from ${url('src/adapters/tfjs/trainingEngine.ts')};
    import { specOf, centre, data, B } from ${url('test/contract/trainingEngineData.ts')};
    for (const backend of ['wasm', 'cpu']) {
      const engine = await openTfjsTrainingEngine({ workers: 1, backend });
      const spec = specOf('untied');
      const trainer = await engine.create(spec, { kind: 'fresh', centre: centre(spec) });
      await trainer.steps(data(spec, B, 1).vectors);
      if (backend === 'wasm') await engine.close();
    }`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { cwd: '/', timeout: 60_000 });
  assert.equal(stdout, '');
  assert.equal(stderr, '');
});

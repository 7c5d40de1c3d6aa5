/**
 * Memory of training with very many features, D 512, batches of 2048: what the trainer allots itself, and what the process's
 * peak resident memory says, against weights + optimiser state + two batches. The process's own memory before the trainer is
 * opened, onnxruntime loaded, is subtracted; the vectors handed over are one batch a step, so no shuffle buffer is in it.
 *
 *     node scripts/bench/trainMemory.ts [F]
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { OrtTrainer } from '../../src/adapters/ort/ortTrainer.ts';
import { SparseTrainer } from '../../src/adapters/ort/sparse/trainer.ts';
import { resolveHyperparameters } from '../../src/dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import type { TrainerSpec } from '../../src/domain/training.ts';
import { Rng } from '../../src/math/rng.ts';

const [D, B] = [512, 2048];
const MB = 1e6;

function specOf(architecture: 'topk' | 'tied', F: number): TrainerSpec {
  const sizes = { dIn: D, dOut: D, nFeatures: F, batchSize: B, totalSteps: 100_000 };
  const hyper = resolveHyperparameters(trainableArchitecture(architecture), sizes, architecture === 'topk' ? { k: 32 } : {});
  return { architecture, ...sizes, transcoder: false, skip: false, hyper, seed: 1 };
}

async function child(architecture: 'topk' | 'tied', F: number, dense: boolean): Promise<void> {
  const spec = specOf(architecture, F);
  const threads = availableParallelism();
  // Load everything once at a size that does not show.
  const warm = specOf(architecture, 64);
  for (const kind of [SparseTrainer, OrtTrainer]) await (await kind.open({ ...warm, hyper: { ...warm.hyper, k: 2, auxK: 8 } }, threads, { kind: 'fresh', centre: new Float32Array(D) })).close();
  const before = process.memoryUsage().rss;
  const trainer = await SparseTrainer.open(spec, threads, { kind: 'fresh', centre: new Float32Array(D) });
  const opened = process.resourceUsage().maxRSS * 1024;
  const rng = new Rng(1);
  // Vectors of no length keep every tied code silent (bias 0), which is the sparse way.
  for (let step = 0; step < 2; step++) await trainer.steps(Float32Array.from({ length: B * D }, () => (dense ? rng.normal() : 0)));
  (globalThis as { gc?: () => void }).gc?.(); // what only waits to be collected is not the trainer's
  const after = process.memoryUsage().rss;
  const allotted = trainer.bytes;
  const state = 4 * [...trainer.state().values()].reduce((sum, { data }) => sum + data.length, 0);
  const bound = state + 2 * 4 * B * D;
  console.log(
    `${architecture} F ${F}, ${dense || architecture === 'topk' ? 'all pre-activations' : 'sparse codes'}: weights and optimiser state ${(state / MB).toFixed(0)} MB, with two batches ${(bound / MB).toFixed(0)} MB; ` +
      `allotted ${(allotted / MB).toFixed(0)} MB; the process grew by ${((after - before) / MB).toFixed(0)} MB, at most by ${((opened - before) / MB).toFixed(0)} MB while the start was made. ` +
      `Pre-activations [B, F] would be ${((4 * B * F) / MB).toFixed(0)} MB`,
  );
  await trainer.close();
}

const [mode, F = '65536', dense] = process.argv.slice(2);
if (mode === 'topk' || mode === 'tied') {
  await child(mode, Number(F), dense === 'dense');
} else {
  for (const args of [['topk', 'dense'], ['tied', 'dense'], ['tied', 'sparse']]) {
    const { status } = spawnSync(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), args[0], mode ?? F, args[1]], { stdio: 'inherit' });
    if (status !== 0) process.exit(1);
  }
}

/**
 * Vectors per second of training one dictionary: this program against PyTorch (CPU) running dictionary_learning's and
 * sparsify's own modules, same start, same vectors, same number of threads, float32, taken in turns. D 512, batches of 2048,
 * F 2048 and 16384: tied, and TopK with k 32.
 *
 *     PYTHON=/path/to/python node scripts/bench/train.ts [rounds]
 *
 * Work is counted as what the loss needs: tied 10·B·D·F FLOP (five dense products), TopK 2·B·D·F for the pre-activations and
 * 8·B·k·D for the active ones, whatever a side really does. Neither library has a tied dictionary: its peers are the same
 * loss in plain PyTorch, and dictionary_learning's StandardTrainer, which is L1 with separate encoder and decoder.
 *
 * Tied codes start half active ("dense") and become sparse in training, which our steps profit from: the case is measured
 * both at the start and with a bias that leaves about 64 features active, as after some thousand steps. The peers' time does not depend
 * on it. ONLY=text keeps the cases whose label holds the text. The matrix peak is the best product either side manages.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { resolveHyperparameters } from '../../src/dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import type { TrainerSpec } from '../../src/domain/training.ts';
import { Rng } from '../../src/math/rng.ts';
import { GraphBuilder } from '../../src/onnx/graphBuilder.ts';
import type { TrainerState } from '../../src/ports/TrainingEngine.ts';

const ROUNDS = Number(process.argv[2] ?? 7);
const THREADS = Number(process.env['THREADS'] ?? availableParallelism());
const PYTHON = process.env['PYTHON'] ?? 'python3';
const [D, B, BATCHES, K] = [512, 2048, 8, 32];
const scratch = mkdtempSync(join(tmpdir(), 'train-bench-'));

interface Case {
  readonly label: string;
  readonly architecture: 'tied' | 'topk';
  readonly F: number;
  /** Steps in one measurement. */
  readonly steps: number;
  readonly peers: readonly string[];
  /** Measured a second time with codes already sparse. */
  readonly sparse: boolean;
}

const CASES: readonly Case[] = [2048, 16384].flatMap((F) => {
  const steps = F === 2048 ? 6 : 2;
  return [
    { label: `tied F ${F}`, architecture: 'tied', F, steps, peers: ['plain-tied', 'dl-standard'], sparse: true },
    { label: `topk F ${F}`, architecture: 'topk', F, steps, peers: ['sparsify', 'dl-topk'], sparse: false },
  ] as const;
});

/** Sums of about 24 of 4096 random directions, with noise, of root mean square 1. */
function madeVectors(): Float32Array {
  const rng = new Rng(11);
  const directions = Float32Array.from({ length: 4096 * D }, () => rng.normal() / Math.sqrt(D));
  const out = new Float32Array(BATCHES * B * D);
  for (let row = 0; row < BATCHES * B; row++) {
    for (let i = 0; i < 24; i++) {
      const from = Math.floor(rng.next() * 4096) * D;
      const size = -4 * Math.log(1 - rng.next());
      for (let d = 0; d < D; d++) out[row * D + d] += size * directions[from + d];
    }
    let square = 0;
    for (let d = 0; d < D; d++) square += (out[row * D + d] += 0.05 * rng.normal()) ** 2;
    for (let d = 0; d < D; d++) out[row * D + d] *= Math.sqrt(D / square);
  }
  return out;
}

class Peer {
  readonly kind: string;
  readonly seconds: number[] = [];
  mse: number | null = null;
  readonly #child;
  readonly #lines;

  constructor(kind: string, F: number, vectorsFile: string, stateFolder: string) {
    this.kind = kind;
    const script = fileURLToPath(new URL('./train_peer.py', import.meta.url));
    this.#child = spawn(PYTHON, [script, kind, vectorsFile, stateFolder, String(D), String(F), String(B), String(THREADS)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async next(): Promise<Record<string, number | null>> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`the peer ended: are dictionary_learning and sparsify installed for ${PYTHON}?`);
      if (value.startsWith('{')) return JSON.parse(value) as Record<string, number | null>; // libraries print banners
    }
  }

  async run(steps: number): Promise<number> {
    this.#child.stdin.write(`${steps}\n`);
    const { seconds, mse } = await this.next();
    this.mse = mse ?? null;
    return seconds!;
  }

  close(): void {
    this.#child.stdin.end();
  }
}

/** Best GFLOP/s of onnxruntime on big products. */
async function measurePeak(): Promise<number> {
  let best = 0;
  for (const n of [1024, 2048]) {
    const g = new GraphBuilder('peak');
    const a = g.input('a', 'float32', [n, n]);
    g.output(g.node('MatMul', [a, g.initializer('b', 'float32', [n, n], new Float32Array(n * n).fill(0.5))]), 'c', 'float32', [n, n]);
    const session = await InferenceSession.create(g.encode(), { intraOpNumThreads: THREADS });
    const feeds = { a: new Tensor('float32', new Float32Array(n * n).fill(0.25), [n, n]) };
    for (let i = 0; i < 6; i++) {
      const started = performance.now();
      await session.run(feeds);
      best = Math.max(best, (2 * n ** 3) / (performance.now() - started) / 1e6);
    }
    await session.release();
  }
  return best;
}

function writeState(folder: string, state: TrainerState, spec: TrainerSpec): void {
  mkdirSync(folder);
  for (const [name, { data }] of state) if (!name.includes('.')) writeFileSync(join(folder, name), data);
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(spec.hyper));
}

/** One of our trainers and what its measurements gave. */
async function ours(spec: TrainerSpec, state: TrainerState, vectors: Float32Array) {
  const engine = openTrainingEngine({ workers: 1, threadsPerWorker: THREADS });
  const trainer = await engine.create(spec, { kind: 'resume', state });
  const seconds: number[] = [];
  let at = 0;
  let stats = { mse: 0, l0: 0 };
  return {
    seconds,
    stats: () => stats,
    async run(steps: number): Promise<number> {
      const block = new Float32Array(steps * B * D); // handed over, so made before the clock starts
      for (let i = 0; i < steps; i++, at = (at + 1) % BATCHES) block.set(vectors.subarray(at * B * D, (at + 1) * B * D), i * B * D);
      const started = performance.now();
      stats = (await trainer.steps(block)).at(-1)!;
      return (performance.now() - started) / 1000;
    },
    close: () => engine.close(),
  };
}

/** The start with a bias that leaves about 64 features active. */
function sparseStart(state: TrainerState, F: number, vectors: Float32Array): TrainerState {
  const rows = state.get('rows')!.data;
  const sample: number[] = [];
  for (let i = 0; i < 40; i++) {
    for (let j = 0; j < F; j += 8) {
      let dot = 0;
      let square = 0;
      for (let d = 0; d < D; d++) {
        dot += vectors[i * D + d] * rows[j * D + d];
        square += rows[j * D + d] ** 2;
      }
      sample.push(dot / Math.sqrt(square));
    }
  }
  sample.sort((a, b) => b - a);
  return new Map(state).set('bias', { shape: [F], data: new Float32Array(F).fill(-sample[Math.floor((sample.length * 64) / F)]) });
}

async function measure({ label, architecture, F, steps, peers: kinds, sparse }: Case, vectors: Float32Array, vectorsFile: string): Promise<void> {
  const sizes = { dIn: D, dOut: D, nFeatures: F, batchSize: B, totalSteps: 100_000 };
  const description = trainableArchitecture(architecture);
  const hyper = resolveHyperparameters(description, sizes, architecture === 'topk' ? { k: K } : {});
  const spec: TrainerSpec = { architecture, ...sizes, transcoder: false, skip: false, hyper, seed: 1 };
  const state = description.initialState(spec, new Float32Array(D));
  const folder = join(scratch, label.replaceAll(' ', '-'));
  writeState(folder, state, spec);

  const peers: Peer[] = [];
  const versions = [];
  for (const kind of kinds) {
    const peer = new Peer(kind, F, vectorsFile, folder);
    peers.push(peer);
    versions.push(await peer.next()); // one after the other: each measures its peak
  }
  const peaks = [...versions.map(({ peak }) => peak!), await measurePeak()];
  const mine = await ours(spec, state, vectors);
  const later = sparse ? await ours(spec, sparseStart(state, F, vectors), vectors) : null;
  const sides = [mine, ...(later === null ? [] : [later]), ...peers];
  for (const side of sides) await side.run(steps + 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of sides) side.seconds.push(await side.run(steps));
    peaks.push(await measurePeak());
  }
  const measured = mine.stats();
  await mine.close();
  await later?.close();
  for (const peer of peers) peer.close();

  const same = peers.find(({ kind }) => kind === 'plain-tied');
  if (same !== undefined && !(Math.abs(measured.mse / same.mse! - 1) < 0.01)) throw new Error(`the two sides disagree: mse ${measured.mse} and ${same.mse} after as many steps`);
  const flops = architecture === 'tied' ? 10 * B * D * F : 2 * B * D * F + 8 * B * K * D;
  const peak = Math.max(...peaks);
  const rate = (seconds: readonly number[]): number => (steps * B) / median(seconds);
  const line = (name: string, seconds: readonly number[], rest: string): void => {
    const share = (100 * ((rate(seconds) / B) * flops)) / (peak * 1e9);
    console.log(`  ${name.padEnd(44)} ${rate(seconds).toFixed(0).padStart(7)} vectors/s (best ${((steps * B) / Math.min(...seconds)).toFixed(0).padStart(7)}), ${share.toFixed(0).padStart(3)} % of the matrix peak; ${rest}`);
  };
  console.log(`${label}: D ${D}, batches of ${B}, ${(flops / B / 1e6).toFixed(1)} MFLOP a vector, matrix peak ${peak.toFixed(0)} GFLOP/s (torch ${String(versions[0]['torch'])} ${Math.max(...versions.map((version) => version['peak']!)).toFixed(0)})`);
  line(later === null ? 'ours' : 'ours, dense', mine.seconds, `mse ${measured.mse.toFixed(4)}, l0 ${measured.l0.toFixed(0)}`);
  if (later !== null) line('ours, sparse (share: as if it were dense)', later.seconds, `l0 ${later.stats().l0.toFixed(0)}`);
  for (const peer of peers) line(peer.kind, peer.seconds, peer.mse === null ? '' : `mse ${peer.mse.toFixed(4)}`);
  const fastest = Math.max(...peers.map(({ seconds }) => rate(seconds)));
  console.log(`  ours against the faster peer (higher is better): ${(rate(mine.seconds) / fastest).toFixed(2)}${later === null ? '' : `, sparse ${(rate(later.seconds) / fastest).toFixed(2)}`}`);
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

try {
  console.log(`${THREADS} threads each, medians of ${ROUNDS} rounds in turns`);
  const vectors = madeVectors();
  const vectorsFile = join(scratch, 'vectors.bin');
  writeFileSync(vectorsFile, vectors);
  for (const bench of CASES) if (bench.label.includes(process.env['ONLY'] ?? '')) await measure(bench, vectors, vectorsFile);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

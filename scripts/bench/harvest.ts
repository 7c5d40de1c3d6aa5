/**
 * Tokens per second of computing the residual stream after every layer: this program against Hugging Face transformers
 * (PyTorch, CPU), same weights, same batches, same number of threads, float32, taken in turns. Shapes: models/demo, and random
 * weights of Pythia-70M's shape.
 *
 *     PYTHON=/path/to/python node scripts/bench/harvest.ts [rounds]
 *
 * Work is counted as 2·(multiply-adds of the layers' matrices) per token plus causal attention, 2·T·D per token and layer.
 * ONLY=text keeps the shapes whose label holds the text; LAYOUTS=all measures one worker with all threads as well.
 * The machine's matrix peak is a 1024 x 1024 x 1024 product in onnxruntime on as many threads, measured in the same rounds.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { GraphBuilder } from '../../src/onnx/graphBuilder.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { neoxConfig, writeRandomModel } from './randomModel.ts';

const ROUNDS = Number(process.argv[2] ?? 8);
const THREADS = Number(process.env['THREADS'] ?? availableParallelism());
/** Batches in one measurement; both sides run them all. */
const BATCHES = Number(process.env['BATCHES'] ?? 4);
const PYTHON = process.env['PYTHON'] ?? 'python3';
/** Layouts of our side to compare: workers x threads. The first is what openSubjectModel does by default. */
const LAYOUTS = process.env['LAYOUTS'] === 'all' ? [[THREADS, 1], [1, THREADS]] : [[THREADS, 1]];
const scratch = mkdtempSync(join(tmpdir(), 'harvest-bench-'));

interface Case {
  readonly label: string;
  readonly folder: string;
  readonly rows: number;
  readonly cols: number;
  readonly batches: number;
  readonly inner: number;
}

function cases(): Case[] {
  const demoFolder = fileURLToPath(new URL('../../models/demo', import.meta.url));
  const demoShape = { d: 192, layers: 4, heads: 6, inner: 768, vocab: 4096, context: 256 };
  const hasDemo = existsSync(join(demoFolder, 'model.safetensors'));
  const demo = hasDemo ? demoFolder : join(scratch, 'demo');
  if (!hasDemo) writeRandomModel(demo, neoxConfig(demoShape), 1);
  const pythia = join(scratch, 'pythia-70m');
  writeRandomModel(pythia, neoxConfig({ d: 512, layers: 6, heads: 8, inner: 2048, vocab: 50304, context: 2048 }), 2);
  return [
    { label: hasDemo ? 'models/demo' : "random weights of models/demo's shape", folder: demo, rows: 8, cols: 256, batches: BATCHES, inner: 768 },
    { label: "random weights of Pythia-70M's shape", folder: pythia, rows: 8, cols: 256, batches: BATCHES, inner: 2048 },
  ];
}

/** Wall time, and processor time over all threads: the second hardly feels what else the machine does. */
interface Timing {
  readonly seconds: number;
  readonly cpu: number;
}

class Peer {
  readonly #child;
  readonly #lines;

  constructor(bench: Case, idsFile: string) {
    const script = fileURLToPath(new URL('./harvest_peer.py', import.meta.url));
    this.#child = spawn(PYTHON, [script, bench.folder, idsFile, String(bench.rows), String(bench.cols), String(THREADS)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async next(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the peer ended: is transformers installed for ${PYTHON}?`);
    return JSON.parse(value) as Record<string, unknown>;
  }

  async run(): Promise<Timing> {
    this.#child.stdin.write('\n');
    return (await this.next()) as unknown as Timing;
  }

  close(): void {
    this.#child.stdin.end();
  }
}

async function peakSession() {
  const n = 1024;
  const g = new GraphBuilder('peak');
  const a = g.input('a', 'float32', [n, n]);
  g.output(g.node('MatMul', [a, g.initializer('b', 'float32', [n, n], new Float32Array(n * n).fill(0.5))]), 'c', 'float32', [n, n]);
  const session = await InferenceSession.create(g.encode(), { intraOpNumThreads: THREADS });
  const feeds = { a: new Tensor('float32', new Float32Array(n * n).fill(0.25), [n, n]) };
  return async (): Promise<number> => {
    let best = Infinity;
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      await session.run(feeds);
      best = Math.min(best, performance.now() - started);
    }
    return (2 * n ** 3) / best / 1e6;
  };
}

function hooks(layers: number): HookPoint[] {
  return ['embed', ...Array.from({ length: layers }, (_, layer) => `resid_post.${layer}` as const)];
}

async function ours(model: SubjectModel, bench: Case, ids: Int32Array): Promise<Timing & { norms: number[] }> {
  const { rows, cols, batches } = bench;
  const lengths = new Int32Array(rows).fill(cols);
  const taps = hooks(model.info.layers);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  const results = await Promise.all(
    Array.from({ length: batches }, (_, i) =>
      model.forward({ batch: { rows, cols, ids: ids.subarray(i * rows * cols, (i + 1) * rows * cols), lengths }, taps, logits: 'none' }),
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpuBefore);
  const last = results[batches - 1].taps;
  return { seconds, cpu: (used.user + used.system) / 1e6, norms: taps.slice(0, -1).map((tap) => Math.sqrt(last.get(tap)!.reduce((sum, x) => sum + x * x, 0))) };
}

async function measure(bench: Case): Promise<void> {
  const { rows, cols, batches } = bench;
  const tokens = rows * cols * batches;
  const opened = await Promise.all(LAYOUTS.map(([workers, threadsPerWorker]) => openSubjectModel(bench.folder, { device: 'cpu', workers, threadsPerWorker })));
  const { info } = opened[0];
  const ids = Int32Array.from({ length: tokens }, (_, i) => (i * 7919 + (i >> 3) * 31) % info.vocabSize);
  const idsFile = join(scratch, 'ids.bin');
  writeFileSync(idsFile, ids);
  const peer = new Peer(bench, idsFile);
  const ready = await peer.next();
  const peak = await peakSession();

  const expected = ready['norms'] as number[];
  const warm = await ours(opened[0], bench, ids);
  const off = Math.max(...warm.norms.map((norm, i) => Math.abs(norm / expected[i] - 1)));
  if (!(off < 1e-4)) throw new Error(`the two sides disagree: norms differ by ${off}`);

  const times: Timing[][] = opened.map(() => []);
  const theirs: Timing[] = [];
  const peaks: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, model] of opened.entries()) times[i].push(await ours(model, bench, ids));
    theirs.push(await peer.run());
    peaks.push(await peak());
  }
  peer.close();
  await Promise.all(opened.map((model) => model.close()));

  const { dModel: d, layers } = info;
  const flops = layers * (2 * (4 * d * d + 2 * d * bench.inner) + 2 * cols * d);
  const gflops = Math.max(...peaks);
  const line = (label: string, timings: readonly Timing[]): void => {
    const seconds = timings.map((timing) => timing.seconds);
    const best = Math.min(...seconds);
    const rate = (tokens * flops) / best / 1e9;
    console.log(`  ${label.padEnd(34)} best ${(tokens / best).toFixed(0).padStart(7)} tokens/s, median ${(tokens / median(seconds)).toFixed(0).padStart(7)}; ${rate.toFixed(0)} GFLOP/s, ${((100 * rate) / gflops).toFixed(0)} % of the matrix peak; ${((1e6 * leastCpu(timings)) / tokens).toFixed(0)} us of processor time a token`);
  };
  console.log(`${bench.label}: D ${d}, ${layers} layers, batches of ${rows} x ${cols}, ${(flops / 1e6).toFixed(2)} MFLOP per token, matrix peak ${gflops.toFixed(0)} GFLOP/s`);
  for (const [i, [workers, threads]] of LAYOUTS.entries()) line(`ours, ${workers} worker(s) x ${threads} thread(s)`, times[i]);
  line(`transformers ${String(ready['transformers'])}, torch ${String(ready['torch'])}`, theirs);
  const ratios = times[0].map(({ seconds }, i) => theirs[i].seconds / seconds);
  const best = (timings: readonly Timing[]): number => Math.min(...timings.map(({ seconds }) => seconds));
  console.log(
    `  ours against theirs (higher is better): best ${(best(theirs) / best(times[0])).toFixed(2)}, median of rounds ${median(ratios).toFixed(2)}, ` +
      `processor time ${(leastCpu(theirs) / leastCpu(times[0])).toFixed(2)}`,
  );
}

function leastCpu(timings: readonly Timing[]): number {
  return Math.min(...timings.map(({ cpu }) => cpu));
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

try {
  console.log(`${THREADS} threads each, ${ROUNDS} rounds in turns`);
  for (const bench of cases()) if (bench.label.includes(process.env['ONLY'] ?? '')) await measure(bench);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

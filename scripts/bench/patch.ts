/**
 * Time of one patch, and patches per second batched: this program's intervention engine against the same patches by hooks on
 * Hugging Face transformers and, where it is installed, on TransformerLens (PyTorch, CPU), same weights, dictionary, prompts and number of threads, float32, in turns.
 *
 *     PYTHON=/path/to/python node scripts/bench/patch.ts [rounds]
 *
 * The model has random weights of Pythia-70M's shape; the features are those of a tied dictionary (F 2048) in the middle of the
 * network. Single: ten features replaced from a target prompt, KL at the last position. Batched: one feature scaled, each of
 * many features in each of several prompts. All sides' KLs are compared first. LAYER=n moves the dictionary; later
 * layers leave us less to run, hooks as much as ever.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import type { Intervention } from '../../src/interventions/intervention.ts';
import { normaliseRows } from '../../src/math/normaliseRows.ts';
import { Rng } from '../../src/math/rng.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { Peer } from './peer.ts';
import { neoxConfig, writeRandomModel } from './randomModel.ts';

const ROUNDS = Number(process.argv[2] ?? 3);
const THREADS = Number(process.env['THREADS'] ?? availableParallelism());
const LAYER = Number(process.env['LAYER'] ?? 2);
const PYTHON = process.env['PYTHON'] ?? 'python3';
const [T, D, F, PROMPTS, SINGLES, PER_PROMPT, BATCH, FACTOR] = [32, 512, 2048, 8, 30, 32, 32, -30];
const scratch = mkdtempSync(join(tmpdir(), 'patch-bench-'));

interface Measured {
  /** One per single patch, or one for all batched ones. */
  readonly seconds: number[];
  readonly kl: number[];
}

function dictionary(rng: Rng): DictionaryWeights {
  const rows = normaliseRows(Float32Array.from({ length: F * D }, () => rng.normal()), D, 1e-8);
  return {
    config: {
      formatVersion: 1, name: 'bench', model: 'bench', hookPoint: `resid_post.${LAYER}`, outputHookPoint: null, architecture: 'tied', dIn: D, dOut: D, nFeatures: F, k: null, l1: null,
      inputScale: 1, outputScale: 1, weightsHash: 'bench', run: 'bench',
    },
    encoder: rows,
    encoderBias: new Float32Array(F),
    threshold: null,
    decoder: rows,
    decoderBias: new Float32Array(D),
    skip: null,
  };
}

function percentile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** Theirs are sums in float32, good to some 1e-6. */
function checkSame(ours: Measured, theirs: Measured): void {
  for (const [i, kl] of ours.kl.entries()) {
    if (!(Math.abs(kl - theirs.kl[i]) <= 5e-6 + 1e-3 * theirs.kl[i])) throw new Error(`the two sides disagree at ${i}: KL ${kl} and ${theirs.kl[i]}`);
  }
}

async function bench(): Promise<void> {
  const folder = join(scratch, 'model');
  writeRandomModel(folder, neoxConfig({ d: D, layers: 6, heads: 8, inner: 2048, vocab: 50304, context: 2048 }), 2);
  const rng = new Rng(1);
  const weights = dictionary(rng);
  const prompts = Array.from({ length: PROMPTS }, () => Int32Array.from({ length: T }, () => rng.int(50304)));
  for (const [name, data] of [['encoder', weights.encoder], ['decoder', weights.decoder], ['bias', weights.encoderBias], ['ids', Int32Array.from(prompts.flatMap((ids) => [...ids]))]] as const) {
    writeFileSync(join(scratch, `${name}.bin`), data);
  }
  const single = Array.from({ length: SINGLES }, (_, i) => ({ base: i % PROMPTS, target: (i + 1) % PROMPTS, features: Array.from(rng.permutation(F).slice(0, 10)) }));
  const batched = Array.from({ length: PROMPTS * PER_PROMPT }, (_, i) => [Math.floor(i / PER_PROMPT), rng.int(F)] as const);
  const positions = Array.from({ length: T }, (_, t) => t);
  const measures = { positions: [T - 1], klFromBase: true };

  const runSingle = async (model: SubjectModel): Promise<Measured> => {
    const found: Measured = { seconds: [], kl: [] };
    for (const { base, target, features } of single) {
      const started = performance.now();
      const edits = features.map((index) => ({ weights, index, operation: { kind: 'replace_from_target' } as const, positions }));
      const [result] = await intervene(model, { prompts: [prompts[base], prompts[target]], interventions: [{ prompt: 0, target: 1, error: 'keep', features: edits, measures }] });
      found.seconds.push((performance.now() - started) / 1000);
      found.kl.push(result.predictions[0].klFromBase!);
    }
    return found;
  };
  const runBatch = async (model: SubjectModel): Promise<Measured> => {
    const started = performance.now();
    const interventions = batched.map(([prompt, index]): Intervention => ({ prompt, target: null, error: 'keep', features: [{ weights, index, operation: { kind: 'scale', factor: FACTOR }, positions }], measures }));
    const results = await intervene(model, { prompts, interventions }, { batchTokens: BATCH * T });
    return { seconds: [(performance.now() - started) / 1000], kl: results.map(({ predictions }) => predictions[0].klFromBase!) };
  };

  const [alone, many] = [await openSubjectModel(folder, { device: 'cpu', workers: 1, threadsPerWorker: THREADS }), await openSubjectModel(folder, { device: 'cpu', workers: THREADS, threadsPerWorker: 1 })];
  const peer = new Peer(PYTHON, './patch_peer.py', [folder, scratch, JSON.stringify({ threads: THREADS, features: F, prompts: PROMPTS, layer: LAYER, factor: FACTOR, batch: BATCH, single, batched })]);
  const ready = await peer.next<{ transformers: string; torch: string; transformerLens: string | null }>();
  const peers = ready.transformerLens === null ? ['hf'] : ['hf', 'lens'];
  if (peers.length === 1) console.log(`TransformerLens is not installed for ${PYTHON}: left out`);
  for (const name of peers) {
    checkSame(await runSingle(alone), await peer.run(`${name} single`));
    checkSame(await runBatch(many), await peer.run(`${name} batch`));
  }
  const empty = (): number[][] => ['ours', ...peers].map(() => []);
  const times = { single: empty(), batch: empty() };
  const load = [loadavg()[0]];
  for (let round = 0; round < ROUNDS; round++) {
    times.single[0].push(...(await runSingle(alone)).seconds);
    for (const [i, name] of peers.entries()) times.single[i + 1].push(...(await peer.run<Measured>(`${name} single`)).seconds);
    times.batch[0].push(...(await runBatch(many)).seconds);
    for (const [i, name] of peers.entries()) times.batch[i + 1].push(...(await peer.run<Measured>(`${name} batch`)).seconds);
    load.push(loadavg()[0]);
  }
  peer.close();
  await Promise.all([alone.close(), many.close()]);

  console.log(`Pythia-70M's shape, ${T} tokens, dictionary at resid_post.${LAYER} of 6 layers, ${THREADS} threads each, ${ROUNDS} rounds in turns, load ${load.map((one) => one.toFixed(1)).join(', ')}`);
  const names = ['ours', `transformers ${ready.transformers} with hooks, torch ${ready.torch}`, `TransformerLens ${ready.transformerLens} with hooks, torch ${ready.torch}`].slice(0, 1 + peers.length);
  for (const [i, name] of names.entries()) {
    const [p50, p95] = [0.5, 0.95].map((share) => 1000 * percentile(times.single[i], share));
    const rates = times.batch[i].map((seconds) => batched.length / seconds);
    console.log(`  ${name.padEnd(48)} one patch p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms; batched ${Math.max(...rates).toFixed(0)} patches/s at best, median ${percentile(rates, 0.5).toFixed(0)}`);
  }
  for (const [i, name] of names.entries()) {
    if (i === 0) continue;
    const ratio = (of: (list: readonly number[]) => number, list: readonly number[][]): string => (of(list[i]) / of(list[0])).toFixed(2);
    console.log(`  ours against ${name} (higher is better): one patch ${ratio((list) => percentile(list, 0.5), times.single)} by the median, batched ${ratio((list) => Math.min(...list), times.batch)} by the best, ${ratio((list) => percentile(list, 0.5), times.batch)} by the median`);
  }
}

try {
  await bench();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

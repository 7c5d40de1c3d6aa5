/**
 * Ablations per second of a circuit's edges (src/pipelines/ablationEdges.ts) against the same ablations in PyTorch, same weights,
 * dictionary, contexts, features and number of threads, float32, in turns.
 *
 *     PYTHON=/path/to/python node scripts/bench/circuit.ts [rounds]
 *
 * The model has random weights of Pythia-70M's shape. The target is a feature at resid_post.TARGET (default 3), read at each
 * context's last token; sources are the features of a tied dictionary (F 2048, about 3 % of them active at a token) at
 * resid_post.SOURCE (default 2). An ablation is one feature out of one context. Ours counts everything from the contexts'
 * tokens on, reading the whole source dictionary and choosing candidates among it; theirs is told what to ablate. Theirs twice:
 * only the layers between source and target run, in large batches of rows; and the model from its tokens with a forward hook.
 * All effects are compared first.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { normaliseRows } from '../../src/math/normaliseRows.ts';
import { Rng } from '../../src/math/rng.ts';
import { ablationEdges } from '../../src/pipelines/ablationEdges.ts';
import { Peer } from './peer.ts';
import { neoxConfig, writeRandomModel } from './randomModel.ts';

const ROUNDS = Number(process.argv[2] ?? 3);
const THREADS = Number(process.env['THREADS'] ?? availableParallelism());
const [SOURCE, TARGET] = [Number(process.env['SOURCE'] ?? 2), Number(process.env['TARGET'] ?? 3)];
const [T, D, F, VOCAB, CONTEXTS, CANDIDATES, BATCH] = [64, 512, 2048, 50304, 10, 48, 16];
/** Activation is x·e − THRESHOLD·(the mean size of x)/√D: active on some 3 % of tokens. */
const THRESHOLD = 1.9;
const scratch = mkdtempSync(join(tmpdir(), 'circuit-bench-'));

function dictionary(layer: number, features: number, bias: number, rng: Rng): DictionaryWeights {
  const rows = normaliseRows(Float32Array.from({ length: features * D }, () => rng.normal()), D, 1e-8);
  return {
    config: {
      formatVersion: 1, name: `${layer}-bench`, model: 'bench', hookPoint: `resid_post.${layer}`, outputHookPoint: null, architecture: 'tied', dIn: D, dOut: D, nFeatures: features, k: null, l1: null,
      inputScale: 1, outputScale: 1, weightsHash: `bench-${layer}`, run: 'bench',
    },
    encoder: rows,
    encoderBias: new Float32Array(features).fill(bias),
    threshold: null,
    decoder: rows,
    decoderBias: new Float32Array(D),
    skip: null,
  };
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
}

async function bench(): Promise<void> {
  const folder = join(scratch, 'model');
  writeRandomModel(folder, neoxConfig({ d: D, layers: 6, heads: 8, inner: 2048, vocab: VOCAB, context: 2048 }), 2);
  const rng = new Rng(1);
  const prompts = Array.from({ length: CONTEXTS }, () => Int32Array.from({ length: T }, () => rng.int(VOCAB)));
  const ids = Int32Array.from(prompts.flatMap((prompt) => [...prompt]));
  const model = await openSubjectModel(folder, { device: 'cpu', workers: THREADS, threadsPerWorker: 1 });
  const batch = { rows: CONTEXTS, cols: T, ids, lengths: new Int32Array(CONTEXTS).fill(T) };
  const stream = (await model.forward({ batch, taps: [`resid_post.${SOURCE}`], logits: 'none' })).taps.get(`resid_post.${SOURCE}`)!;
  const size = Math.sqrt(stream.reduce((sum, value) => sum + value ** 2, 0) / stream.length);
  const source = dictionary(SOURCE, F, -THRESHOLD * size, rng);
  // Large enough that the target is active in every context.
  const targetBias = 4 * size;
  const target = dictionary(TARGET, 1, targetBias, rng);
  const contexts = prompts.map((prompt) => ({ ids: prompt, above: 0 }));

  const ours = async () => {
    const started = performance.now();
    const report = await ablationEdges(model, [source], { kind: 'feature', weights: target, index: 0 }, contexts, { batchTokens: 4096, candidates: CANDIDATES });
    return { seconds: (performance.now() - started) / 1000, report };
  };
  const { report } = await ours();
  const { codes } = await model.forward({ batch, taps: [], logits: 'none', encode: [source] });
  const chosen = report.edges.map(({ index }) => index);
  const rows = chosen.flatMap((feature) => prompts.keys().toArray().filter((c) => codes[0].features.subarray(codes[0].offsets[c * T], codes[0].offsets[(c + 1) * T]).includes(feature)).map((c) => [c, feature] as const));
  if (rows.length !== report.ablations) throw new Error(`${report.ablations} ablations, the peer would make ${rows.length}`);
  for (const [name, data] of [['encoder', source.encoder], ['bias', source.encoderBias], ['target', target.encoder], ['ids', ids]] as const) writeFileSync(join(scratch, `${name}.bin`), data);
  const plan = { threads: THREADS, contexts: CONTEXTS, source: SOURCE, target: TARGET, targetBias, batch: BATCH, rows };
  const peer = new Peer(process.env['PYTHON'] ?? 'python3', './circuit_peer.py', [folder, scratch, JSON.stringify(plan)]);
  const ready = await peer.next<Record<'transformers' | 'torch', string>>();
  for (const what of ['layers', 'hooks']) {
    const { drops } = await peer.run<{ drops: number[] }>(what);
    const sums = new Map<number, number>();
    rows.forEach(([, feature], i) => sums.set(feature, (sums.get(feature) ?? 0) + drops[i] / CONTEXTS));
    for (const { index, effect } of report.edges) {
      if (!(Math.abs(effect - sums.get(index)!) <= 1e-4)) throw new Error(`the two sides disagree on feature ${index}: ${effect} and ${sums.get(index)}`);
    }
  }
  const seconds = { ours: [] as number[], layers: [] as number[], hooks: [] as number[] };
  const load = [loadavg()[0]];
  for (let round = 0; round < ROUNDS; round++) {
    for (const what of ['layers', 'hooks'] as const) {
      seconds.ours.push((await ours()).seconds);
      seconds[what].push((await peer.run<{ seconds: number }>(what)).seconds);
    }
    load.push(loadavg()[0]);
  }
  peer.close();
  await model.close();

  console.log(`Pythia-70M's shape, ${CONTEXTS} contexts of ${T} tokens, features of resid_post.${SOURCE} on one of resid_post.${TARGET}, ${rows.length} ablations, strongest effect ${report.edges[0].effect.toFixed(4)}, ${THREADS} threads each, ${ROUNDS} rounds in turns, load ${load.map((one) => one.toFixed(1)).join(', ')}`);
  const names = { ours: 'ours', layers: `torch ${ready.torch}, transformers ${ready.transformers}, only the layers between`, hooks: 'the same with hooks, from the tokens' };
  for (const [what, name] of Object.entries(names) as [keyof typeof names, string][]) {
    const of = (choose: (list: readonly number[]) => number, whose: keyof typeof names): number => choose(seconds[whose]);
    const ratio = what === 'ours' ? '' : `; ours is ${(of(median, what) / of(median, 'ours')).toFixed(2)} times as fast`;
    console.log(`  ${name.padEnd(64)} median ${(rows.length / of(median, what)).toFixed(0)} ablations/s, best ${(rows.length / of((list) => Math.min(...list), what)).toFixed(0)}${ratio}`);
  }
}

try {
  await bench();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

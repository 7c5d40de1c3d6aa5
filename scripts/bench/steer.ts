/**
 * Tokens per second of writing with features clamped at every step, beside writing without: this program against Hugging Face
 * transformers with PyTorch forward hooks (`generate` with its key-value cache), same weights, same dictionary, same number of
 * threads, float32, in turns; one row and several together.
 *
 *     PYTHON=/path/to/python MODEL=folder node scripts/bench/steer.ts [rounds]
 *
 * MODEL is a Llama, GPT-NeoX or GPT-2 folder. Four features of a random dictionary of 4D features after the middle layer are set to
 * a value from the prompt's last position on; `largest` is the same dictionary where only the 32 largest activations count,
 * so that its whole encoder is read at every step.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openGenerator } from '../../src/adapters/ort/openGenerator.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { Rng } from '../../src/math/rng.ts';
import type { Generator, Steering } from '../../src/ports/Generator.ts';

const ROUNDS = Number(process.argv[2] ?? 5);
const THREADS = Number(process.env['THREADS'] ?? availableParallelism());
const PYTHON = process.env['PYTHON'] ?? 'python3';
const folder = process.env['MODEL'];
if (folder === undefined) throw new Error('set MODEL to a model folder');
const PROMPT = 32;
const WRITTEN = 64;
const ROWS = 8;
const CHOSEN = 4;
const K = 32;
const KINDS = ['plain', 'steered', 'largest'] as const;
const scratch = mkdtempSync(join(tmpdir(), 'steer-bench-'));

function dictionaryOf(d: number, layer: number): DictionaryWeights {
  const rng = new Rng(9);
  const F = 4 * d;
  const rows = Float32Array.from({ length: F * d }, () => rng.normal() / Math.sqrt(d));
  return {
    config: {
      formatVersion: 1, name: 'bench', model: 'bench', hookPoint: `resid_post.${layer}`, outputHookPoint: null, architecture: 'untied', dIn: d, dOut: d, nFeatures: F,
      k: null, l1: null, inputScale: 1, outputScale: 1, weightsHash: 'bench', run: 'bench',
    },
    encoder: rows, encoderBias: new Float32Array(F), threshold: null, decoder: rows, decoderBias: new Float32Array(d), skip: null,
  };
}

/** Seconds, and the first row's tokens. */
interface Timing {
  readonly one: number;
  readonly rows: number;
  readonly ids: readonly number[];
}

async function ours(generator: Generator, prompts: readonly Int32Array[], steering: Steering | undefined): Promise<Timing> {
  const write = async (ids: Int32Array): Promise<number[]> => {
    const { tokens } = await generator.generate({ ids, maxTokens: WRITTEN, temperature: 0, topP: 1, seed: 0, stopIds: [], topLogprobs: 0, ...(steering === undefined ? {} : { steering }) });
    return tokens.map(({ id }) => id);
  };
  const started = performance.now();
  const ids = await write(prompts[0]);
  const between = performance.now();
  await Promise.all(prompts.map(write));
  return { one: (between - started) / 1000, rows: (performance.now() - between) / 1000, ids };
}

try {
  const generator = await openGenerator(folder, { device: 'cpu', threadsPerWorker: THREADS, reusePrefixes: false, contextLength: 512 });
  const { vocabSize, layers, dModel, parameters } = generator.info;
  const layer = Math.floor(layers / 2);
  const weights = dictionaryOf(dModel, layer);
  const prompts = Array.from({ length: ROWS }, (_, row) => Int32Array.from({ length: PROMPT }, (_, i) => (i * 7919 + row * 104729 + 31) % vocabSize));
  writeFileSync(join(scratch, 'ids.bin'), Buffer.concat(prompts.map((ids) => Buffer.from(ids.buffer))));
  writeFileSync(join(scratch, 'dictionary.bin'), Buffer.from(weights.encoder.buffer));
  const value = 2;
  const features = Array.from({ length: CHOSEN }, (_, index) => ({ weights, index, operation: { kind: 'set', value } as const }));
  const largest = { ...weights, config: { ...weights.config, k: K } };
  const steerings: Record<(typeof KINDS)[number], Steering | undefined> = {
    plain: undefined,
    steered: { from: PROMPT - 1, features },
    largest: { from: PROMPT - 1, features: features.map((feature) => ({ ...feature, weights: largest })) },
  };
  const script = fileURLToPath(new URL('./steer_peer.py', import.meta.url));
  const child = spawn(PYTHON, [script, folder, scratch, ...[PROMPT, WRITTEN, ROWS, THREADS, layer, CHOSEN, K, value].map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value: line, done } = await lines.next();
    if (done === true) throw new Error(`the peer ended: is transformers installed for ${PYTHON}?`);
    return JSON.parse(line) as T;
  };
  const versions = await next<{ transformers: string; torch: string }>();
  for (const kind of KINDS) await ours(generator, prompts, steerings[kind]);
  console.log(`D ${dModel}, ${layers} layers, ${(parameters / 1e6).toFixed(1)} M parameters; ${THREADS} threads each, ${ROWS} rows, ${WRITTEN} tokens after ${PROMPT}; load before ${loadavg()[0].toFixed(1)}`);
  for (const kind of KINDS) {
    const mine: Timing[] = [];
    const theirs: Timing[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      mine.push(await ours(generator, prompts, steerings[kind]));
      child.stdin.write(`${kind}\n`);
      theirs.push(await next<Timing>());
    }
    const differs = mine[0].ids.findIndex((id, i) => id !== theirs[0].ids[i]);
    const rate = (timings: readonly Timing[], key: 'one' | 'rows'): number => ((key === 'one' ? 1 : ROWS) * WRITTEN) / timings.map((timing) => timing[key]).toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)];
    const shown = (key: 'one' | 'rows'): string => `${rate(mine, key).toFixed(0).padStart(6)} against ${rate(theirs, key).toFixed(0).padStart(5)} (${(rate(mine, key) / rate(theirs, key)).toFixed(2)} times)`;
    console.log(`  ${kind.padEnd(8)} tokens/s, median: one row ${shown('one')}; ${ROWS} rows ${shown('rows')}; equal tokens: the first ${differs < 0 ? WRITTEN : differs} of ${WRITTEN}`);
  }
  child.stdin.end();
  await generator.close();
  console.log(`  transformers ${versions.transformers}, torch ${versions.torch}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/**
 * Tokens per second of reading a prompt and of writing, one row and several together: this program against Hugging Face
 * transformers (PyTorch, CPU; `generate` with its key-value cache), same weights, same number of threads, float32, in turns.
 *
 *     PYTHON=/path/to/python MODEL=folder node scripts/bench/generate.ts [rounds]
 *
 * MODEL is a Llama, GPT-NeoX or GPT-2 folder; without it, random weights of SmolLM2-135M's shape. Each token written reads all
 * weights but the embedding's other rows once, whatever the number of rows: bytes a token times tokens a second, beside the
 * bytes a second that summing a large array reaches on the same threads, is how far from the memory's limit writing is.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openGenerator } from '../../src/adapters/ort/openGenerator.ts';
import type { Generator } from '../../src/ports/Generator.ts';
import { writeRandomModel } from './randomModel.ts';

const ROUNDS = Number(process.argv[2] ?? 5);
const THREADS = Number(process.env['THREADS'] ?? availableParallelism());
const PYTHON = process.env['PYTHON'] ?? 'python3';
/** Tokens of the prompt that is only read, of the one that is written after, tokens written, rows at once. */
const PROMPT = 512;
const SHORT = 32;
const WRITTEN = 64;
const ROWS = 8;
const scratch = mkdtempSync(join(tmpdir(), 'generate-bench-'));

/** SmolLM2-135M (Llama architecture). */
const SHAPE = {
  model_type: 'llama', hidden_size: 576, num_hidden_layers: 30, num_attention_heads: 9, num_key_value_heads: 3, head_dim: 64, intermediate_size: 1536,
  vocab_size: 49152, max_position_embeddings: 8192, rms_norm_eps: 1e-5, rope_theta: 100000, tie_word_embeddings: true, hidden_act: 'silu', architectures: ['LlamaForCausalLM'],
};

/** Seconds. */
interface Timing {
  readonly prefill: number;
  /** Of WRITTEN - 1 tokens a row. */
  readonly decode: number;
  readonly decodeRows: number;
}
interface PeerTiming extends Timing {
  readonly ids: readonly number[];
  readonly bandwidth: number;
}

async function ours(generator: Generator, prompts: readonly Int32Array[]): Promise<Timing & { ids: number[] }> {
  const write = async (ids: Int32Array, maxTokens: number): Promise<{ first: number; last: number; ids: number[] }> => {
    const at: number[] = [];
    const { tokens } = await generator.generate({ ids, maxTokens, temperature: 0, topP: 1, seed: 0, stopIds: [], topLogprobs: 0 }, () => at.push(performance.now()));
    return { first: at[0], last: performance.now(), ids: tokens.map(({ id }) => id) };
  };
  const started = performance.now();
  const read = await write(prompts[0], 1);
  const one = await write(prompts[0].subarray(0, SHORT), WRITTEN);
  const all = await Promise.all(prompts.map((ids) => write(ids.subarray(0, SHORT), WRITTEN)));
  // All rows write from when the last has its first token; before it, the first ones have some already.
  const from = Math.max(...all.map(({ first }) => first));
  const to = Math.max(...all.map(({ last }) => last));
  return { prefill: (read.last - started) / 1000, decode: (one.last - one.first) / 1000, decodeRows: (to - from) / 1000, ids: one.ids };
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
}

async function main(): Promise<void> {
  const folder = process.env['MODEL'] ?? join(scratch, 'model');
  if (process.env['MODEL'] === undefined) writeRandomModel(folder, SHAPE, 3);
  const generator = await openGenerator(folder, { device: 'cpu', threadsPerWorker: THREADS, reusePrefixes: false, contextLength: 1024 });
  const { vocabSize, parameters, layers, dModel } = generator.info;
  const prompts = Array.from({ length: ROWS }, (_, row) => Int32Array.from({ length: PROMPT }, (_, i) => (i * 7919 + row * 104729 + 31) % vocabSize));
  const idsFile = join(scratch, 'ids.bin');
  writeFileSync(idsFile, Buffer.concat(prompts.map((ids) => Buffer.from(ids.buffer))));

  const script = fileURLToPath(new URL('./generate_peer.py', import.meta.url));
  const child = spawn(PYTHON, [script, folder, idsFile, ...[PROMPT, SHORT, WRITTEN, ROWS, THREADS].map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the peer ended: is transformers installed for ${PYTHON}?`);
    return JSON.parse(value) as T;
  };
  const versions = await next<{ transformers: string; torch: string }>();
  await ours(generator, prompts);

  const mine: Timing[] = [];
  const theirs: PeerTiming[] = [];
  let agreed = WRITTEN;
  console.log(`D ${dModel}, ${layers} layers, ${(parameters / 1e6).toFixed(0)} M parameters; ${THREADS} threads each, ${ROUNDS} rounds in turns; load before ${loadavg()[0].toFixed(1)}`);
  for (let round = 0; round < ROUNDS; round++) {
    const { ids, ...timing } = await ours(generator, prompts);
    mine.push(timing);
    child.stdin.write('\n');
    theirs.push(await next<PeerTiming>());
    const differs = ids.findIndex((id, i) => id !== theirs[round].ids[i]);
    if (differs >= 0) agreed = Math.min(agreed, differs);
  }
  child.stdin.end();
  await generator.close();
  if (agreed === 0) throw new Error('the two sides disagree about the first token');

  const line = (label: string, tokens: number, key: keyof Timing): void => {
    const rate = (timings: readonly Timing[], pick: (list: readonly number[]) => number): number => tokens / pick(timings.map((timing) => timing[key]));
    const least = (list: readonly number[]): number => Math.min(...list);
    const ratios = mine.map((timing, i) => theirs[i][key] / timing[key]);
    console.log(
      `  ${label.padEnd(22)} ours best ${rate(mine, least).toFixed(1).padStart(7)} median ${rate(mine, median).toFixed(1).padStart(7)}; transformers best ${rate(theirs, least).toFixed(1).padStart(7)} median ${rate(theirs, median).toFixed(1).padStart(7)} tokens/s; ratio best ${(rate(mine, least) / rate(theirs, least)).toFixed(2)}, median of rounds ${median(ratios).toFixed(2)}`,
    );
  };
  line(`read ${PROMPT} tokens`, PROMPT, 'prefill');
  line('write, one row', WRITTEN - 1, 'decode');
  line(`write, ${ROWS} rows`, ROWS * (WRITTEN - 1), 'decodeRows');
  const bytes = 4 * parameters;
  const bandwidth = Math.max(...theirs.map((timing) => timing.bandwidth));
  const reached = (bytes * (WRITTEN - 1)) / Math.min(...mine.map(({ decode }) => decode));
  console.log(
    `  ${(bytes / 1e6).toFixed(0)} MB of weights a step: one row reads ${(reached / 1e9).toFixed(1)} GB/s, ${((100 * reached) / bandwidth).toFixed(0)} % of the ${(bandwidth / 1e9).toFixed(1)} GB/s of a sum`,
  );
  console.log(`  transformers ${versions.transformers}, torch ${versions.torch}; equal greedy tokens: the first ${agreed} of ${WRITTEN}`);
}

try {
  await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

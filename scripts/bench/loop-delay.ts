/**
 * How long the event loop of the main thread is held up while forward runs with edits (what a patch does) keep every worker
 * busy, with the same measurement on an idle process beside it.
 *
 *     node scripts/bench/loop-delay.ts [MODEL_FOLDER] [seconds]
 *
 * A timer asks to wake every 10 ms; a row shows by how much it came late, in ms. On a machine with other load the idle row is late
 * too: compare the rows. The last row runs the same model on the main thread itself, which is what the workers avoid.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { loadWeights } from '../../src/adapters/ort/loadWeights.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openWeightFiles } from '../../src/adapters/ort/weightFiles.ts';
import { readLanguageModel } from '../../src/lm/registry.ts';
import { compileSpan } from '../../src/lm/span.ts';
import { WEIGHTS_LOCATION } from '../../src/lm/spanContext.ts';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../models/demo', import.meta.url));
const seconds = Number(process.argv[3] ?? 3);
const RESOLUTION_MS = 10;

async function measure(label: string, work: (stopAt: number) => Promise<number>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  await sleep(100);
  delay.enable();
  const started = performance.now();
  const runs = await work(started + 1000 * seconds);
  const elapsed = (performance.now() - started) / 1000;
  delay.disable();
  const late = (nanoseconds: number): string => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS).toFixed(1).padStart(7);
  console.log(`${label.padEnd(28)} p50 ${late(delay.percentile(50))}  p99 ${late(delay.percentile(99))}  max ${late(delay.max)} ms late; ${(runs / elapsed).toFixed(1)} runs/s`);
}

const model = await openSubjectModel(folder, { device: 'cpu' });
const cols = Math.min(128, model.info.contextLength);
const rows = 2;
const ids = Int32Array.from({ length: rows * cols }, (_, i) => (i * 31) % model.info.vocabSize);
const batch = { rows, cols, ids, lengths: new Int32Array(rows).fill(cols) };
const delta = new Float32Array(rows * cols * model.info.dModel).fill(0.01);
const patch = () => model.forward({ batch, edits: [{ at: 'resid_post.0', delta }], taps: [], logits: 'all' });
await Promise.all(Array.from({ length: model.concurrency }, patch));

await measure('idle', async (stopAt) => {
  await sleep(stopAt - performance.now());
  return 0;
});
await measure(`patches on ${model.concurrency} worker(s)`, async (stopAt) => {
  let runs = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < stopAt) {
      await patch();
      runs++;
    }
  };
  await Promise.all(Array.from({ length: model.concurrency }, loop));
  return runs;
});
await model.close();

const language = readLanguageModel(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')));
const { layout, buffer } = await loadWeights(language, await openWeightFiles(folder));
const span = compileSpan(language, layout, { from: null, taps: [], sites: ['stream.1'], logits: 'all' }, 'cpu');
const session = await InferenceSession.create(span.bytes, { externalData: [{ path: WEIGHTS_LOCATION, data: new Uint8Array(buffer) }] });
const all: Record<string, Tensor> = {
  ids: new Tensor('int32', ids, [rows, cols]),
  'delta:stream.1': new Tensor('float32', delta, [rows, cols, language.dModel]),
  lastKey: new Tensor('int32', new Int32Array(rows).fill(cols - 1), [rows]),
  total: new Tensor('int32', Int32Array.of(cols), []),
};
const feeds = Object.fromEntries(span.inputs.map((name) => [name, all[name]]));
await measure('patches on the main thread', async (stopAt) => {
  let runs = 0;
  while (performance.now() < stopAt) {
    await session.run(feeds);
    runs++;
  }
  return runs;
});
await session.release();

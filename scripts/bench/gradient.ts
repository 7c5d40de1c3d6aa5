import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { Rng } from '../../src/math/rng.ts';

/**
 * What a gradient costs beside a run forward, one thread: from the last stream to the embedding.
 *
 *     node scripts/bench/gradient.ts models/demo 8 64        # rows, tokens a row; gradient_peer.py takes the same
 */
const [folder = 'models/demo', rowsText = '8', colsText = '64'] = process.argv.slice(2);
const [rows, cols] = [Number(rowsText), Number(colsText)];
const model = await openSubjectModel(folder, { device: 'cpu', workers: 1 });
const { layers, dModel, vocabSize } = model.info;
const rng = new Rng(1);
const ids = Int32Array.from({ length: rows * cols }, () => rng.int(vocabSize));
const batch = { rows, cols, ids, lengths: new Int32Array(rows).fill(cols) };
const cotangent = Float32Array.from({ length: rows * cols * dModel }, () => rng.normal());
const end = `resid_post.${layers - 1}` as const;

async function median(run: () => Promise<unknown>, times = 7): Promise<number> {
  await run();
  const found: number[] = [];
  for (let i = 0; i < times; i++) {
    const started = performance.now();
    await run();
    found.push(performance.now() - started);
  }
  return found.sort((a, b) => a - b)[times >> 1]!;
}

const forward = await median(() => model.forward({ batch, taps: [end], logits: 'none' }));
const gradient = await median(() => model.gradient({ batch, of: { at: end, cotangent }, wrt: ['embed'] }));
console.log(`${rows} x ${cols} tokens: forward ${forward.toFixed(1)} ms, gradient ${gradient.toFixed(1)} ms, ratio ${(gradient / forward).toFixed(2)}`);
await model.close();

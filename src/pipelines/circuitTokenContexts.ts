import { logSoftmax } from '../causal/divergence.ts';
import { tokenBatches } from '../causal/tokenBatches.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import { contextBefore, type TextInput } from './circuitContexts.ts';
import type { CircuitOptions } from './circuitOptions.ts';
import type { CircuitToken, Context } from './circuitTarget.ts';

/** Rows read at once. */
const ROWS = 1024;
/** Places looked at for each that is wanted: half of them lie above the median. */
const POOL = 4;

/**
 * Contexts of an output token: places of the analysed text where it is the true next token and the model expects it. From all such
 * places a pool of 4·contexts is drawn uniformly (reservoir sampling, by the seed); the model reads each as far as a context
 * reaches; of those where the token's probability is at least the pool's median, `contexts` are drawn. In the text's order.
 * Throws NOT_FOUND where the token never follows another one.
 */
export async function tokenContexts(input: TextInput, { id, token }: CircuitToken, options: Pick<CircuitOptions, 'contexts' | 'contextTokens' | 'seed' | 'batchTokens'>): Promise<Context[]> {
  const rng = Rng.derive(options.seed, 'contexts of a token', id);
  const pool = await drawPool(input, id, POOL * options.contexts, options.contextTokens, rng);
  if (pool.length === 0) throw new CallerError('NOT_FOUND', `token ${JSON.stringify(token)} never follows another token in the text that was analysed: choose one that occurs, or analyse more text`);
  const probabilities = await probabilitiesOf(input, pool, id, options.batchTokens);
  const median = [...probabilities].sort((a, b) => a - b)[Math.floor(pool.length / 2)];
  const likely = [...pool.keys()].filter((i) => probabilities[i] >= median);
  const chosen = rng.shuffle(likely).slice(0, options.contexts).sort((a, b) => pool[a].row - pool[b].row || pool[a].position - pool[b].position);
  return chosen.map((i) => ({ ids: pool[i].ids, above: -Infinity }));
}

interface Place {
  readonly row: number;
  readonly position: number;
  readonly ids: Int32Array;
}

/** A uniform sample of the places right before the token. */
async function drawPool({ tokens, rows }: TextInput, id: number, size: number, most: number, rng: Rng): Promise<Place[]> {
  const { from, to } = rows ?? { from: 0, to: tokens.rows };
  const pool: Place[] = [];
  let seen = 0;
  for (let first = from; first < to; first += ROWS) {
    const chosen = Array.from({ length: Math.min(ROWS, to - first) }, (_, i) => first + i);
    const ids = await tokens.read(chosen);
    for (const [i, row] of chosen.entries()) {
      for (let position = 0; position + 1 < tokens.cols; position++) {
        if (ids[i * tokens.cols + position + 1] !== id) continue;
        const at = seen < size ? seen : rng.int(seen + 1);
        seen++;
        if (at < size) pool[at] = { row, position, ids: contextBefore(ids, i * tokens.cols, position, most) };
      }
    }
  }
  return pool;
}

/** The probability of the token after each place. */
async function probabilitiesOf({ model }: TextInput, pool: readonly Place[], id: number, batchTokens: number): Promise<Float64Array> {
  const found = new Float64Array(pool.length);
  const { vocabSize } = model.info;
  const sorted = [...pool.keys()].sort((a, b) => pool[a].ids.length - pool[b].ids.length || a - b);
  for (const part of tokenBatches(sorted, (i) => pool[i].ids.length, { tokens: batchTokens, rows: 1024 })) {
    const cols = Math.max(...part.map((i) => pool[i].ids.length));
    const batch = { rows: part.length, cols, ids: new Int32Array(part.length * cols), lengths: Int32Array.from(part, (i) => pool[i].ids.length) };
    part.forEach((i, b) => batch.ids.set(pool[i].ids, b * cols));
    const { logits } = await model.forward({ batch, taps: [], logits: 'last' });
    invariant(logits !== null, 'logits were asked for');
    part.forEach((i, b) => (found[i] = Math.exp(logSoftmax(logits, b * vocabSize, vocabSize)[id])));
  }
  return found;
}

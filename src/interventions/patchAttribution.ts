import { klCotangent } from '../causal/klToTarget.ts';
import { tokenBatches } from '../causal/tokenBatches.ts';
import { invariant } from '../domain/errors.ts';
import type { GradientModel } from '../ports/GradientModel.ts';
import { runBounds } from './cleanPairs.ts';
import type { PatchChanges } from './patchChanges.ts';
import { PatchedDeltas } from './patchedDeltas.ts';
import type { PatchedRuns, PatchedRow } from './patchedRuns.ts';

/**
 * What patching each unit alone changes of the mean KL(patched‖target), to first order: gradient · (ĉ − c) f, summed over
 * positions. With one step the gradient is that of the unedited run; with more it is averaged over runs in which the whole edit
 * is made by (k + ½)/steps, k = 0 … (integrated gradients, Sundararajan et al. 2017), and the effects add up to about the KL
 * change of the whole edit.
 *
 * @returns one number per unit, 0 for those that change nothing. 2·steps runs of all prompts.
 */
export async function patchAttribution(model: GradientModel, runs: PatchedRuns, changes: PatchChanges, steps: number, batchTokens = 4096): Promise<Float64Array> {
  const { pairs, width, edit } = runs;
  const { vocabSize } = model.info;
  const whole = new PatchedDeltas(pairs.map(({ length }) => length), width);
  for (const unit of changes.active) for (const p of changes.prompts(unit)) whole.add(changes, unit, p, 1);
  const effects = new Float64Array((changes.active.at(-1) ?? 0) + 1);
  const prompts = pairs.keys().toArray().sort((a, b) => pairs[a].length - pairs[b].length || a - b);
  for (let step = 0; step < steps; step++) {
    const share = steps === 1 ? 0 : (step + 0.5) / steps;
    for (const part of tokenBatches(prompts, (p) => pairs[p].length, runBounds(model, batchTokens))) {
      const rows = part.map((prompt): PatchedRow => ({ prompt, delta: Float32Array.from(cut(whole.of(prompt)), (value) => share * value) }));
      const request = runs.requestOf(rows);
      const { logits } = await model.forward({ ...request, taps: [], logits: 'last' });
      invariant(logits !== null, 'logits were asked for');
      const cotangent = new Float32Array(logits.length);
      part.forEach((p, b) => klCotangent(logits, b * vocabSize, pairs[p].targetLogProbs, cotangent, b * vocabSize));
      const gradient = (await model.gradient({ ...request, of: { at: 'logits', cotangent }, wrt: [edit] })).get(edit);
      invariant(gradient !== undefined, `the model gave no gradient at ${edit}`);
      runs.cost.runs += 2;
      runs.cost.rows += 2 * rows.length;
      for (const [b, p] of part.entries()) {
        // After the last layer a run holds the last position only: the vectors before it have no effect, whatever stands there.
        const dense = runs.lastOnly ? lastOf(gradient, b * width, pairs[p].length, width) : gradient;
        const at = runs.lastOnly ? 0 : b * request.batch.cols * width;
        for (const unit of changes.active) effects[unit] += changes.effect(dense, at, unit, p) / (steps * pairs.length);
      }
    }
  }
  return effects;

  function cut(delta: Float64Array): Float64Array {
    return runs.lastOnly ? delta.subarray(delta.length - width) : delta;
  }
}

/** Vectors [length, D] that are 0 but for the last. */
function lastOf(gradient: Float32Array, from: number, length: number, d: number): Float32Array {
  const out = new Float32Array(length * d);
  out.set(gradient.subarray(from, from + d), (length - 1) * d);
  return out;
}

import { addEffects, ascending } from '../causal/attribution.ts';
import { addFeatureEdit } from '../causal/featureEdit.ts';
import { hookOrder, pointsOf, startBefore } from '../causal/hookOrder.ts';
import { tokenBatches } from '../causal/tokenBatches.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import type { GradientModel, Objective } from '../ports/GradientModel.ts';
import type { ForwardRequest } from '../ports/SubjectModel.ts';
import { checkAttribution } from './attributionPlan.ts';
import type { AttributionRequest, Attributions } from './attribution.ts';
import { runBounds } from './cleanPairs.ts';
import { padded } from './cleanRuns.ts';
import { objectiveAt } from './objective.ts';
import { tapOf } from './runRows.ts';
import { Turns } from './turns.ts';

const BATCH_TOKENS = 4096;

/**
 * How much ablating each feature of the sources, alone and at all positions, would change the objective of each prompt, to
 * first order: Σ_t −c_j(t)·s·(f_j·g(t)) with g the exact gradient at the source's output hook point. All sources at once: a run
 * that reads their codes, and one run forward and backward from the first of them on.
 *
 * With `steps` = N, integrated gradients (Sundararajan et al. 2017; on features: Marks et al. 2024): g is the mean gradient at
 * the middles of N equal steps from x − Σ_j s·c_j f_j (all features of the source ablated, what it does not explain kept) to x,
 * one source at a time. The attributions then add up to the objective's change along that path, up to O(1/N²).
 *
 * This proposes: effects that are to be reported are measured by ablation. Throws BAD_INPUT, BAD_DICTIONARY.
 */
export async function attributeFeatures(model: GradientModel, request: AttributionRequest): Promise<Attributions> {
  checkAttribution(request, model.info);
  const { prompts, sources, steps } = request;
  const effects = sources.map(() => new Map<number, Float64Array>());
  const turns = new Turns();
  const order = [...prompts.keys()].sort((a, b) => prompts[a].length - prompts[b].length || a - b);
  const tokens = request.batchTokens ?? BATCH_TOKENS;
  // A token's cotangent is as large as the logits: many short prompts would take a lot of memory.
  const bounds = request.objective.kind === 'token' ? runBounds(model, tokens) : { tokens, rows: order.length };
  for (const members of tokenBatches(order, (p) => prompts[p].length, bounds)) {
    const clean = await cleanRun(model, request, members);
    const add = async (s: number, gradient: Float32Array, factor: number): Promise<void> => {
      for (const [b, prompt] of members.entries()) {
        const rows = { first: b * clean.batch.cols, count: prompts[prompt].length };
        const entries = clean.codes[s].offsets[rows.first + rows.count] - clean.codes[s].offsets[rows.first];
        if (turns.due(entries * model.info.dModel)) await turns.give();
        addEffects(effects[s], sources[s], clean.codes[s], gradient, rows, -factor, prompt, prompts.length);
      }
    };
    if (steps === undefined) {
      const found = await gradientsAt(model, request, clean, firstOf(clean.edits), [], clean.edits);
      for (const s of sources.keys()) await add(s, tapOf(found, clean.edits[s]), 1);
      continue;
    }
    for (const s of sources.keys()) {
      const at = clean.edits[s];
      const explained = await explainedBy(sources[s], clean.codes[s], turns);
      for (let step = 0; step < steps; step++) {
        const left = 1 - (step + 0.5) / steps;
        const found = await gradientsAt(model, request, clean, at, [{ at, delta: explained.map((value) => -left * value) }], [at]);
        await add(s, tapOf(found, at), 1 / steps);
      }
    }
  }
  return effects.map(ascending);
}

/** What is kept of a batch's unedited run. */
interface Clean {
  readonly members: readonly number[];
  readonly batch: TokenBatch;
  /** Where each source's features are edited. */
  readonly edits: readonly HookPoint[];
  /** Residual streams at the starts of later runs. */
  readonly taps: ReadonlyMap<HookPoint, Float32Array>;
  readonly codes: readonly SparseCodes[];
}

async function cleanRun(model: GradientModel, { prompts, sources, steps }: AttributionRequest, members: readonly number[]): Promise<Clean> {
  const batch = padded(members.map((p) => prompts[p]));
  const edits = sources.map(({ config }) => pointsOf(config, model.info.dModel).edit);
  const starts = steps === undefined ? [firstOf(edits)] : edits;
  const { taps, codes } = await model.forward({ batch, taps: [...new Set(starts.map(startBefore))], logits: 'none', encode: sources });
  return { members, batch, edits, taps, codes };
}

function firstOf(points: readonly HookPoint[]): HookPoint {
  return points.reduce((first, point) => (hookOrder(point) < hookOrder(first) ? point : first));
}

/** Gradients of the objective with the edits in place, in a run from the last residual stream before `first` on. */
async function gradientsAt(model: GradientModel, request: AttributionRequest, { members, batch, taps }: Clean, first: HookPoint, edits: NonNullable<ForwardRequest['edits']>, wrt: readonly HookPoint[]): Promise<ReadonlyMap<HookPoint, Float32Array>> {
  const start = startBefore(first);
  const run = { batch, from: { at: start, residual: tapOf(taps, start) }, edits };
  const of: Objective = await objectiveAt(model, request.objective, members, run);
  return model.gradient({ ...run, of, wrt: [...new Set(wrt)] });
}

/** Σ_j s·c_j f_j [rows, dOut]. */
async function explainedBy(weights: DictionaryWeights, codes: SparseCodes, turns: Turns): Promise<Float32Array> {
  const { dOut } = weights.config;
  const sum = new Float32Array(codes.rows * dOut);
  for (let r = 0; r < codes.rows; r++) {
    if (turns.due((codes.offsets[r + 1] - codes.offsets[r]) * dOut)) await turns.give();
    for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) addFeatureEdit(sum, r * dOut, weights, codes.features[e], codes.values[e]);
  }
  return sum;
}

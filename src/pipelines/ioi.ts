import { join } from 'node:path';
import { attributionOrder, thresholdPass, thresholds } from '../causal/thresholdOrdering.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import { cleanPairs, type CleanPair } from '../interventions/cleanPairs.ts';
import { patchAttribution } from '../interventions/patchAttribution.ts';
import { PatchedSet, type PatchPoint } from '../interventions/patchedSet.ts';
import { Rng } from '../math/rng.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { GradientModel } from '../ports/GradientModel.ts';
import type { IoiCurve, IoiOrdering } from '../ports/IoiReport.ts';
import type { Progress } from '../ports/Progress.ts';
import { wholeRunSeconds } from './ioiCost.ts';
import type { IoiOptions } from './ioiOptions.ts';
import type { TokenisedPair } from './ioiPrompts.ts';
import { ioiCurves } from './ioiSummary.ts';

/** A dictionary that takes part. */
export interface IoiDictionary {
  readonly method: string;
  readonly layer: number;
  readonly weights: DictionaryWeights;
  /** Features j and j + F/2 are the tails of one signed direction and are patched together. */
  readonly signed: boolean;
}

/** What was run for one set, since the one before. */
export interface StepCost {
  readonly sets: number;
  readonly runs: number;
  readonly rows: number;
  readonly seconds: number;
}

/** One measured set; a line of the resume log. */
export interface IoiStep extends PatchPoint {
  readonly method: string;
  readonly layer: number;
  readonly ordering: IoiOrdering;
  /** From 0; of the threshold ordering, 0 is the set of all and step i + 1 what the i-th threshold left. */
  readonly step: number;
  readonly tau: number | null;
  /** Threshold ordering: the units in the set. Attribution: the one that was added. */
  readonly members: readonly number[];
  readonly patched: number;
  readonly cost: StepCost;
}

export interface IoiInput {
  readonly model: GradientModel;
  readonly pairs: readonly TokenisedPair[];
  readonly dictionaries: readonly IoiDictionary[];
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** The run's own folder, which exists: steps.ndjson (the resume log) and curves.ndjson. */
  readonly dir: string;
  readonly options: IoiOptions;
}

export interface IoiResult {
  readonly curves: readonly IoiCurve[];
  /** KL(base‖counterfactual): nothing patched. */
  readonly unpatchedKl: number;
  /** Share of prompts whose own indirect object the model puts above the subject, at the base and at the counterfactual. */
  readonly behaviour: { readonly base: number; readonly counterfactual: number };
  /** Measured for this run's pairs: one run of all base prompts through the whole network. */
  readonly wholeRunSeconds: number;
}

/**
 * How many features must be patched, and by how much the stream must be edited, to turn the model's prediction for a prompt
 * into that for its counterfactual: for each dictionary and ordering the curve of KL(patched‖counterfactual) against both.
 * Every prompt runs once through the whole network; all else runs from the hook point on (PatchedSet).
 *
 * Continues after a kill from the sets in steps.ndjson; what is measured after that may differ in the last bits from an
 * uninterrupted run, because trials then come in other batches.
 */
export async function runIoi(input: IoiInput): Promise<IoiResult> {
  const { model, pairs, dictionaries, artefacts, progress, dir, options } = input;
  if (dictionaries.length === 0) throw new CallerError('BAD_INPUT', 'no dictionaries to compare: train some first, or name them');
  const log = join(dir, 'steps.ndjson');
  const done = new Map<string, IoiStep[]>();
  for await (const step of artefacts.readRecords<IoiStep>(log, { optional: true })) {
    const known = done.get(keyOf(step, step.ordering));
    if (known === undefined) done.set(keyOf(step, step.ordering), [step]);
    else known.push(step);
  }
  const clean = await cleanPairs(model, pairs.map(({ baseIds, counterfactualIds }) => ({ base: baseIds, target: counterfactualIds })), [...new Set(dictionaries.map(({ weights }) => weights))], options.batchTokens);
  const seconds = await wholeRunSeconds(model, pairs.map(({ baseIds }) => baseIds), options.batchTokens);
  const task = progress.start('ioi', dictionaries.length * options.orderings.length, 'curves');
  const measured: { readonly dictionary: IoiDictionary; readonly ordering: IoiOrdering; readonly units: number; readonly active: number; readonly steps: readonly IoiStep[] }[] = [];
  for (const dictionary of dictionaries) {
    const units = unitsOf(dictionary);
    const set = new PatchedSet(model, clean, dictionary.weights, units, options.batchTokens);
    for (const ordering of options.orderings) {
      const key = keyOf(dictionary, ordering);
      const steps = done.get(key) ?? [];
      const run = { dictionary, set, steps, note: (note: string) => task.update(measured.length, `${dictionary.weights.config.name} (${dictionary.method}), ${ordering}: ${note}`), keep: async (fresh: readonly IoiStep[]) => {
        await artefacts.appendRecords(log, fresh);
        steps.push(...fresh);
      } }; // prettier-ignore
      await (ordering === 'threshold' ? byThreshold(run, options) : byAttribution(run, model, options));
      measured.push({ dictionary, ordering, units: units.length, active: set.changes.active.length, steps });
      task.update(measured.length);
    }
  }
  task.finish(`${measured.length} curves`);
  const unpatched = new PatchedSet(model, clean, dictionaries[0].weights, unitsOf(dictionaries[0])).point;
  const curves = ioiCurves(measured, unpatched.perPrompt, { prompts: pairs.length, seconds, seed: options.seed });
  await artefacts.writeRecords(join(dir, 'curves.ndjson'), curves);
  return { curves, unpatchedKl: unpatched.kl, behaviour: behaviourOf(pairs, clean), wholeRunSeconds: seconds };
}

interface CurveRun {
  readonly dictionary: IoiDictionary;
  readonly set: PatchedSet;
  readonly steps: readonly IoiStep[];
  readonly note: (note: string) => void;
  readonly keep: (fresh: readonly IoiStep[]) => Promise<void>;
}

/** The paper's ordering; each threshold's set is summed and run afresh before it is kept. */
async function byThreshold({ dictionary: { method, layer }, set, steps, note, keep }: CurveRun, options: IoiOptions): Promise<void> {
  const cost = costMeter(set);
  const record = (step: number, tau: number | null, point: PatchPoint): IoiStep => ({ method, layer, ordering: 'threshold', step, tau, members: set.members, patched: set.members.length, ...rounded(point), cost: cost() });
  if (steps.length === 0) await keep([record(0, null, await set.reset(set.changes.active))]);
  else await set.reset(steps[steps.length - 1].members);
  for (const [i, tau] of thresholds(options.thresholds, -5, Math.log10(options.highest)).entries()) {
    if (i + 1 < steps.length) continue;
    const before = set.members;
    const stayed = await thresholdPass(set, before, tau, Rng.derive(options.seed, 'ioi', method, layer, i));
    const point = stayed.length === before.length ? set.point : await set.reset(stayed);
    await keep([record(i + 1, tau, point)]);
    note(`tau ${tau.toExponential(1)}, ${stayed.length} patched, KL ${point.kl.toPrecision(3)}`);
  }
}

/** Units in the order of their attribution, each prefix measured. Kept whole: it takes seconds. */
async function byAttribution({ dictionary: { method, layer }, set, steps, note, keep }: CurveRun, model: GradientModel, options: IoiOptions): Promise<void> {
  if (steps.length > 0) return;
  const cost = costMeter(set);
  const order = attributionOrder(set.changes.active, await patchAttribution(model, set.runs, set.changes, options.gradientSteps, options.batchTokens));
  const found: IoiStep[] = [];
  for await (const point of set.prefixes(order)) {
    const step = found.length;
    found.push({ method, layer, ordering: 'attribution', step, tau: null, members: [order[step]], patched: step + 1, ...rounded(point), cost: cost() });
    if (step % 64 === 63) note(`${step + 1} patched, KL ${point.kl.toPrecision(3)}`);
  }
  await keep(found);
}

/** What a set's work has cost since the last call. */
function costMeter(set: PatchedSet): () => StepCost {
  let before = { sets: set.asked, ...set.runs.cost, at: performance.now() };
  return () => {
    const now = { sets: set.asked, ...set.runs.cost, at: performance.now() };
    const since = { sets: now.sets - before.sets, runs: now.runs - before.runs, rows: now.rows - before.rows, seconds: (now.at - before.at) / 1000 };
    before = now;
    return since;
  };
}

function unitsOf({ signed, weights: { config } }: IoiDictionary): number[][] {
  const pairs = config.nFeatures / 2;
  return signed ? Array.from({ length: pairs }, (_, j) => [j, j + pairs]) : Array.from({ length: config.nFeatures }, (_, j) => [j]);
}

/** Six digits: what float32 runs give. */
function rounded({ kl, perPrompt, magnitude }: PatchPoint): PatchPoint {
  return { kl, perPrompt: perPrompt.map((value) => Number(value.toPrecision(6))), magnitude };
}

function behaviourOf(pairs: readonly TokenisedPair[], clean: readonly CleanPair[]): IoiResult['behaviour'] {
  const share = (right: (pair: TokenisedPair, clean: CleanPair) => boolean): number => pairs.filter((pair, p) => right(pair, clean[p])).length / pairs.length;
  return {
    base: share(({ ioId, subjectId }, { baseLogProbs }) => baseLogProbs[ioId] > baseLogProbs[subjectId]),
    counterfactual: share(({ otherId, subjectId }, { targetLogProbs }) => targetLogProbs[otherId] > targetLogProbs[subjectId]),
  };
}

function keyOf({ method, layer }: { readonly method: string; readonly layer: number }, ordering: IoiOrdering): string {
  return `${layer} ${method} ${ordering}`;
}

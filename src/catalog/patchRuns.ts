import { setImmediate } from 'node:timers/promises';
import { CallerError } from '../domain/errors.ts';
import type { PatchInput, PatchRun } from '../domain/patch.ts';
import { intervene } from '../interventions/intervene.ts';
import type { InterventionResult } from '../interventions/intervention.ts';
import type { CatalogReader, ModelRow } from '../ports/CatalogReader.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { Turns } from './gate.ts';
import { LIMITS } from './limits.ts';
import { patchNumbers, patchWork } from './patchBounds.ts';
import { patchResult, planPatch, type PatchPlan } from './patchPlan.ts';

/** A checked patch and its id. */
export interface PatchToRun {
  readonly id: string;
  readonly model: ModelRow;
  readonly input: PatchInput;
}

export interface RunParts {
  readonly reader: Pick<CatalogReader, 'patchRun' | 'savePatchRun'>;
  readonly live: Pick<LiveModels, 'open' | 'dictionary'>;
  readonly codeVersion: string;
}

type Settle = (id: string, found: { readonly run: PatchRun } | { readonly error: CallerError }) => void;

type Opened = Awaited<ReturnType<LiveModels['open']>>;

type Planned = readonly [PatchToRun, PatchPlan];

/**
 * Runs patches of one model and stores them, each settled as soon as it is. As many run together as LIMITS.patchWork and
 * patchNumbers let; each such run takes a turn. Throws what concerns all: BUSY, MODEL_UNAVAILABLE, failures that are nobody's mistake.
 */
export async function runPatches(parts: RunParts, patches: readonly PatchToRun[], turns: Turns, signal: AbortSignal | undefined, settle: Settle): Promise<void> {
  const turn = <T>(work: (opened: Opened) => Promise<T>): Promise<T> =>
    turns.run(async () => work(await parts.live.open(patches[0].input.model)), signal === undefined ? {} : { signal });
  const runSome = async (opened: Opened, planned: readonly Planned[]): Promise<readonly Planned[]> => {
    const count = fitting(planned);
    await runTogether(parts, opened, planned.slice(0, count), settle);
    return planned.slice(count);
  };
  let left = await turn(async (opened) => runSome(opened, await planAll(parts.live, opened, patches, settle)));
  while (left.length > 0) {
    const planned = left;
    left = await turn((opened) => runSome(opened, planned));
  }
}

/** Numbers held by a stored run. */
export function numbersOf({ input, result }: PatchRun): number {
  return patchNumbers(input, { tokens: result.tokens.length, read: result.positions.length });
}

async function planAll(live: RunParts['live'], { model, tokenizer }: Opened, patches: readonly PatchToRun[], settle: Settle): Promise<Planned[]> {
  const planned: Planned[] = [];
  for (const patch of patches) {
    // Texts are cut into tokens on this thread.
    await setImmediate();
    await asOutcome(patch.id, settle, async () => {
      planned.push([patch, await planPatch(live, tokenizer, model.info.contextLength, patch.input)]);
    });
  }
  return planned;
}

/** How many of the patches, in order, one run of the engine takes: at least one. */
function fitting(planned: readonly Planned[]): number {
  let work = 0;
  let numbers = 0;
  let count = 0;
  for (const [{ input }, { base, read }] of planned) {
    const size = { tokens: base.length, read: read.length };
    work += patchWork(input, size);
    numbers += patchNumbers(input, size);
    if (count > 0 && (work > LIMITS.patchWork || numbers > LIMITS.patchNumbers)) break;
    count++;
  }
  return count;
}

async function runTogether(parts: RunParts, opened: Opened, planned: readonly Planned[], settle: Settle): Promise<void> {
  if (planned.length === 0) return;
  const started = performance.now();
  let outcomes: InterventionResult[];
  try {
    outcomes = await runEngine(opened.model, planned.map(([, plan]) => plan));
  } catch (error) {
    if (!(error instanceof CallerError) || planned.length === 1) return asOutcome(planned[0][0].id, settle, () => Promise.reject(error));
    // One of them makes the numbers overflow, which shows only when it runs: whose mistake it is, each finds out by itself.
    for (const one of planned) await runTogether(parts, opened, [one], settle);
    return;
  }
  const milliseconds = (performance.now() - started) / planned.length;
  for (const [i, [{ id, model: row, input }, plan]] of planned.entries()) {
    const run: PatchRun = {
      id,
      input,
      result: patchResult(plan, outcomes[i], opened.tokenizer),
      weightsHash: row.weightsHash,
      codeVersion: parts.codeVersion,
      createdAt: new Date().toISOString(),
      milliseconds,
    };
    const isFirst = await parts.reader.savePatchRun(run);
    settle(id, { run: isFirst ? run : ((await parts.reader.patchRun(id)) ?? run) });
  }
}

/** One run of the engine; equal prompts are one prompt. */
function runEngine(model: SubjectModel, plans: readonly PatchPlan[]): Promise<InterventionResult[]> {
  const prompts: Int32Array[] = [];
  const places = new Map<string, number>();
  const placeOf = (ids: Int32Array): number => {
    const key = ids.join();
    const place = places.get(key) ?? prompts.push(ids) - 1;
    places.set(key, place);
    return place;
  };
  const interventions = plans.map(({ input, base, target, features, measures }) => ({
    prompt: placeOf(base),
    target: target === null ? null : placeOf(target),
    features,
    error: input.error ?? 'keep',
    measures,
  }));
  return intervene(model, { prompts, interventions });
}

/** Settles a patch whose own mistake the work meets; throws the rest. */
async function asOutcome(id: string, settle: Settle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CallerError)) throw error;
    settle(id, { error });
  }
}

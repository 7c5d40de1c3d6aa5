import { klDivergence } from '../causal/divergence.ts';
import type { PatchTrials } from '../causal/thresholdOrdering.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { CleanPair } from './cleanPairs.ts';
import { PatchChanges, type PatchUnits } from './patchChanges.ts';
import { PatchedDeltas } from './patchedDeltas.ts';
import { PatchedRuns, type PatchedRow } from './patchedRuns.ts';

/** A set and what patching it does. */
export interface PatchPoint {
  /** Mean over prompts of KL(patched‖target) at the last position, in nats, and of each prompt. */
  readonly kl: number;
  readonly perPrompt: readonly number[];
  /** Mean over all positions of all prompts of ‖x′ − x‖₂. */
  readonly magnitude: number;
}

/** First number of units tried ahead, and most. */
const [AHEAD, MOST_AHEAD] = [4, 512];

/**
 * Sets of features of one dictionary patched at once in many prompts, x′ = x + Σ_{j in F} s·(ĉ_j − c_j) f_j at all positions, ĉ
 * from each prompt's target: the same as `intervene` with replace_from_target of every feature of F, for thousands of sets
 * that differ by one.
 *
 * What makes them cheap: runs start from the stream at the edit point; x′ − x is kept as a running sum; a prompt that a unit
 * does not change keeps its KL, so a trial runs only the others; trials of the units that come next run in the same pass, and
 * stay valid until one of their prompts changes (even in a later pass). How many run ahead grows while none leaves the set,
 * shrinks to how far it came when one does, and ends where a run is large enough to keep every thread busy: beyond that
 * a trial that turns out void costs as much as it could have saved.
 */
export class PatchedSet implements PatchTrials {
  readonly changes: PatchChanges;
  readonly runs: PatchedRuns;
  /** Trials and points asked for: each would be a run of all prompts without any of this. */
  asked = 0;
  readonly #deltas: PatchedDeltas;
  readonly #members = new Set<number>();
  readonly #kl: Float64Array;
  readonly #version: Int32Array;
  /** By unit and prompt: KL without the unit, and the version of the prompt it was measured at. */
  readonly #trials = new Map<number, Map<number, { readonly version: number; readonly kl: number }>>();
  #ahead = AHEAD;
  #stayed = 0;

  /** Starts empty: nothing patched. */
  constructor(model: SubjectModel, pairs: readonly CleanPair[], weights: DictionaryWeights, units: PatchUnits, batchTokens = 4096) {
    this.changes = new PatchChanges(pairs, weights, units);
    this.runs = new PatchedRuns(model, pairs, weights, batchTokens);
    this.#deltas = new PatchedDeltas(pairs.map(({ length }) => length), this.runs.width);
    this.#kl = Float64Array.from(pairs, ({ baseLogProbs, targetLogProbs }) => klDivergence(baseLogProbs, targetLogProbs));
    this.#version = new Int32Array(pairs.length);
  }

  get kl(): number {
    return mean(this.#kl);
  }

  get members(): readonly number[] {
    return [...this.#members].sort((a, b) => a - b);
  }

  get point(): PatchPoint {
    return { kl: this.kl, perPrompt: [...this.#kl], magnitude: this.#deltas.meanNorm() };
  }

  /** Makes the set these units, summed and run afresh; the same units again clear what rounding has gathered. */
  async reset(units: readonly number[]): Promise<PatchPoint> {
    this.asked++;
    const same = units.length === this.#members.size && units.every((unit) => this.#members.has(unit));
    if (!same) this.#version.forEach((version, p) => (this.#version[p] = version + 1));
    this.#members.clear();
    this.#deltas.clear();
    const changed = new Set<number>();
    for (const unit of units.toSorted((a, b) => a - b)) {
      this.#members.add(unit);
      for (const p of this.changes.prompts(unit)) {
        this.#deltas.add(this.changes, unit, p, 1);
        changed.add(p);
      }
    }
    this.runs.pairs.forEach(({ baseLogProbs, targetLogProbs }, p) => (this.#kl[p] = klDivergence(baseLogProbs, targetLogProbs)));
    const rows = [...changed].sort((a, b) => a - b).map((prompt) => this.#row(prompt, null));
    (await this.runs.kl(rows)).forEach((kl, i) => (this.#kl[rows[i].prompt] = kl));
    return this.point;
  }

  async without(unit: number, next: ArrayLike<number>): Promise<number> {
    invariant(this.#members.has(unit), `unit ${unit} is not in the set`);
    this.asked++;
    if (this.#stale(unit).length > 0) await this.#try(unit, next);
    this.#stayed++;
    const trial = this.#trials.get(unit);
    let sum = 0;
    for (const [p, kl] of this.#kl.entries()) sum += trial?.get(p)?.kl ?? kl;
    return sum / this.#kl.length;
  }

  takeOut(unit: number): void {
    const trial = this.#trials.get(unit);
    for (const p of this.changes.prompts(unit)) {
      this.#deltas.add(this.changes, unit, p, -1);
      const found = trial?.get(p);
      if (found === undefined) continue; // changes no prediction
      invariant(found.version === this.#version[p], `unit ${unit} leaves without having been tried`);
      this.#kl[p] = found.kl;
      this.#version[p]++;
    }
    this.#trials.delete(unit);
    this.#members.delete(unit);
    this.#ahead = Math.max(1, Math.ceil((this.#ahead + this.#stayed) / 2));
    this.#stayed = 0;
  }

  /** Adds units one by one to the empty set and measures after each; the last is the whole list. */
  async *prefixes(order: readonly number[]): AsyncGenerator<PatchPoint> {
    await this.reset([]);
    let rows: PatchedRow[] = [];
    let steps: { readonly rows: number; readonly magnitude: number }[] = [];
    let tokens = 0;
    for (const [i, unit] of order.entries()) {
      this.asked++;
      this.#members.add(unit);
      for (const p of this.changes.prompts(unit)) this.#deltas.add(this.changes, unit, p, 1);
      const run = this.#affected(unit).map((prompt) => this.#row(prompt, null));
      for (const { prompt } of run) this.#version[prompt]++;
      rows.push(...run);
      steps.push({ rows: run.length, magnitude: this.#deltas.meanNorm() });
      tokens += run.reduce((sum, { prompt }) => sum + this.runs.lengthOf(prompt), 0);
      if (tokens < this.runs.tokensAtOnce && i + 1 < order.length) continue;
      const found = await this.runs.kl(rows);
      let at = 0;
      for (const { rows: count, magnitude } of steps) {
        for (const end = at + count; at < end; at++) this.#kl[rows[at].prompt] = found[at];
        yield { ...this.point, magnitude };
      }
      [rows, steps, tokens] = [[], [], 0];
    }
  }

  /** Prompts whose prediction a unit may change. */
  #affected(unit: number): number[] {
    return this.changes.prompts(unit, this.runs.lastOnly ? this.runs.pairs.map(({ length }) => length - 1) : undefined);
  }

  #stale(unit: number): number[] {
    const known = this.#trials.get(unit);
    return this.#affected(unit).filter((p) => known?.get(p)?.version !== this.#version[p]);
  }

  /** Tries a unit, and those that come next as far as it pays. */
  async #try(unit: number, next: ArrayLike<number>): Promise<void> {
    if (this.#stayed >= this.#ahead) this.#ahead = Math.min(MOST_AHEAD, 2 * this.#ahead);
    const rows: (PatchedRow & { readonly unit: number })[] = [];
    let tokens = 0;
    for (let i = -1; i < Math.min(next.length, this.#ahead - 1) && tokens < this.runs.tokensAhead; i++) {
      const candidate = i < 0 ? unit : next[i];
      for (const p of this.#stale(candidate)) {
        rows.push({ ...this.#row(p, candidate), unit: candidate });
        tokens += this.runs.lengthOf(p);
      }
    }
    const found = await this.runs.kl(rows);
    for (const [i, { unit: tried, prompt }] of rows.entries()) {
      let known = this.#trials.get(tried);
      if (known === undefined) this.#trials.set(tried, (known = new Map()));
      known.set(prompt, { version: this.#version[prompt], kl: found[i] });
    }
  }

  #row(prompt: number, without: number | null): PatchedRow {
    const delta = without === null ? this.#deltas.of(prompt) : this.#deltas.without(this.changes, without, prompt);
    return { prompt, delta: Float32Array.from(this.runs.lastOnly ? delta.subarray(delta.length - this.runs.width) : delta) };
  }
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

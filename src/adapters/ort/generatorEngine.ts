import { invariant } from '../../domain/errors.ts';
import { Rng } from '../../math/rng.ts';
import { sampleToken, scoreToken } from '../../math/sampling.ts';
import type { ScoredToken } from '../../ports/Generator.ts';
import type { GeneratorResult, PlannedRequest } from './generatorMessages.ts';
import type { GeneratorSession } from './generatorSession.ts';
import { Slots } from './generatorSlots.ts';
import type { Slot } from './generatorSlots.ts';
import type { PlannedSteering } from './steeringPlan.ts';

/** Tokens of a prompt read at once: enough to be bound by arithmetic, short enough that other rows go on writing between. */
const PIECE = 256;

/**
 * A matrix product's last row, where it is alone in its block, sums in another order than its fellows. So no piece has a length
 * of 1 more than a multiple of this: what a prompt gives must not depend on where it was cut, thus on how much was known.
 */
const BLOCK = 16;

/** A request under way. */
interface Job {
  readonly prompt: Int32Array;
  /** Null for one that only scores. */
  readonly request: PlannedRequest | null;
  /** First place whose token is scored; of a generating one the prompt's length. */
  readonly from: number;
  readonly top: number;
  readonly rng: Rng;
  readonly stop: ReadonlySet<number>;
  readonly onToken: ((token: ScoredToken) => void) | null;
  readonly tokens: ScoredToken[];
  readonly done: PromiseWithResolvers<GeneratorResult>;
  slot: Slot | null;
  reused: number;
}

/**
 * Serves many requests with one session: prompts are read in pieces, one request at a time; rows that write take their next
 * token together, so that the weights are read from memory once for all of them. What a request gets does not depend on
 * what else runs or ran: rows of one run do not see each other, and each sums in the same order whatever their number. Rows with
 * different steerings take their tokens in runs of their own, positions before the first edited one in unsteered runs.
 */
export class GeneratorEngine {
  readonly #session: GeneratorSession;
  readonly #vocabSize: number;
  readonly #slots: Slots;
  readonly #waiting: Job[] = [];
  /** Reading their prompt, in order of arrival. */
  readonly #reading = new Set<Job>();
  readonly #writing = new Set<Job>();
  #running = false;

  constructor(session: GeneratorSession, vocabSize: number, reuse: boolean) {
    this.#session = session;
    this.#vocabSize = vocabSize;
    this.#slots = new Slots(session.store, reuse);
  }

  generate(request: PlannedRequest, onToken: ((token: ScoredToken) => void) | null): Promise<GeneratorResult> {
    const room = this.#session.store.maxLength - request.ids.length;
    invariant(request.ids.length > 0 && room >= 0, 'a prompt that fits');
    if (room === 0 || request.maxTokens === 0) return Promise.resolve({ kind: 'generate', tokens: [], finish: 'length', reused: 0 });
    const limited = { ...request, maxTokens: Math.min(request.maxTokens, room) };
    return this.#submit({ prompt: request.ids, request: limited, from: request.ids.length, top: request.topLogprobs, rng: new Rng(request.seed), stop: new Set(request.stopIds), onToken });
  }

  score(ids: Int32Array, from: number, top: number): Promise<GeneratorResult> {
    invariant(from >= 1 && from <= ids.length && ids.length <= this.#session.store.maxLength, 'a row that fits');
    if (from === ids.length) return Promise.resolve({ kind: 'score', tokens: [], reused: 0 });
    return this.#submit({ prompt: ids, request: null, from, top, rng: new Rng(0), stop: new Set(), onToken: null });
  }

  #submit(job: Omit<Job, 'tokens' | 'done' | 'slot' | 'reused'>): Promise<GeneratorResult> {
    const whole: Job = { ...job, tokens: [], done: Promise.withResolvers(), slot: null, reused: 0 };
    this.#waiting.push(whole);
    if (!this.#running) void this.#serve();
    return whole.done.promise;
  }

  /** Until nothing is left to do. Each run of the session yields to the thread's messages first. */
  async #serve(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length + this.#reading.size + this.#writing.size > 0) {
      this.#admit();
      const [next] = this.#reading;
      if (next !== undefined) await this.#attempt([next], () => this.#read(next));
      for (const [steering, rows] of alike(this.#writing)) await this.#attempt(rows, () => this.#write(rows, steering));
    }
    this.#running = false;
  }

  async #attempt(jobs: readonly Job[], run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (cause) {
      for (const job of jobs) {
        this.#slots.forget(job.slot!);
        this.#leave(job);
        job.done.reject(cause);
      }
    }
  }

  #admit(): void {
    while (this.#waiting.length > 0) {
      const job = this.#waiting[0];
      if (!this.#hasGraph(job)) return;
      const slot = this.#slots.take(job.prompt, toRead(job).first, job.request?.steering);
      if (slot === undefined) return;
      this.#waiting.shift();
      job.slot = slot;
      job.reused = slot.ids.length;
      this.#reading.add(job);
    }
  }

  /** Whether its steered graph can be kept beside those of all under way; if not it waits, and whoever came later behind it, so that its turn comes. */
  #hasGraph(job: Job): boolean {
    const inUse = new Set([...this.#reading, ...this.#writing, job].flatMap(({ request }) => request?.steering?.graph ?? []));
    return inUse.size <= this.#session.graphs;
  }

  /** Reads the next piece of a prompt. */
  async #read(job: Job): Promise<void> {
    const slot = job.slot!;
    const { prompt } = job;
    const start = slot.ids.length;
    const { first, end } = toRead(job);
    const steering = steeringAt(job, start);
    // A piece is edited from its first position on, or not at all.
    const unsteered = steering === null ? (job.request?.steering?.from ?? Infinity) - start : Infinity;
    const count = Math.min(PIECE, end - start, unsteered);
    const wanted: number[] = [];
    for (let t = Math.max(start, first); t < start + count; t++) wanted.push(t - start);
    // One token more, whose place the next one overwrites; there is room, since a row's last token is never read.
    const cols = count % BLOCK === 1 ? count + 1 : count;
    const ids = new Int32Array(cols);
    ids.set(prompt.subarray(start, start + count));
    const logits = await this.#session.run({ first: slot.index, rows: 1, ids, cols, starts: [start], wanted, steering });
    for (let t = start; t < start + count; t++) slot.ids.push(prompt[t]);
    slot.read = slot.ids.length;
    if (job.request === null) {
      for (const [row, t] of wanted.entries()) job.tokens.push(scoreToken(logits, row * this.#vocabSize, this.#vocabSize, prompt[start + t + 1], job.top));
      if (slot.ids.length === end) this.#finish(job, { kind: 'score', tokens: job.tokens, reused: job.reused });
    } else if (slot.ids.length === end) {
      this.#reading.delete(job);
      this.#writing.add(job);
      this.#choose(job, logits, 0);
    }
  }

  /** One more token for each of the rows, in one run over all slots from the first of theirs to the last. */
  async #write(jobs: readonly Job[], steering: PlannedSteering | null): Promise<void> {
    const byIndex = new Map(jobs.map((job) => [job.slot!.index, job]));
    const first = Math.min(...byIndex.keys());
    const rows = Math.max(...byIndex.keys()) - first + 1;
    const ids = new Int32Array(rows);
    const starts: number[] = [];
    const wanted: number[] = [];
    for (let row = 0; row < rows; row++) {
      const slot = this.#slots.get(first + row);
      const job = byIndex.get(slot.index);
      if (job !== undefined) {
        ids[row] = job.tokens.at(-1)!.id;
        wanted.push(row);
      }
      // A slot between that only comes along writes behind what it holds. A place is left: a row's last token is never written.
      starts.push(slot.ids.length);
    }
    const logits = await this.#session.run({ first, rows, ids, cols: 1, starts, wanted, steering });
    for (const [index, row] of wanted.entries()) {
      const job = byIndex.get(first + row)!;
      job.slot!.ids.push(ids[row]);
      this.#choose(job, logits, index * this.#vocabSize);
    }
  }

  /** Draws the next token of a row. */
  #choose(job: Job, logits: Float32Array, at: number): void {
    const request = job.request!;
    if (request.steering !== null && !allFinite(logits, at, this.#vocabSize)) {
      const slot = job.slot!;
      const position = slot.ids.length - 1;
      this.#slots.forget(slot);
      return this.#finish(job, { kind: 'overflow', position, reused: job.reused });
    }
    const uniform = job.rng.next();
    const id = sampleToken(logits, at, this.#vocabSize, request, uniform);
    if (job.stop.has(id)) return this.#finish(job, { kind: 'generate', tokens: job.tokens, finish: 'stop', reused: job.reused });
    const token = scoreToken(logits, at, this.#vocabSize, id, job.top);
    job.tokens.push(token);
    job.onToken?.(token);
    if (job.tokens.length >= request.maxTokens) this.#finish(job, { kind: 'generate', tokens: job.tokens, finish: 'length', reused: job.reused });
  }

  #finish(job: Job, result: GeneratorResult): void {
    this.#leave(job);
    job.done.resolve(result);
  }

  #leave(job: Job): void {
    this.#reading.delete(job);
    this.#writing.delete(job);
    this.#slots.free(job.slot!);
  }
}

/** Places whose logits are wanted, [first, end): none after `end` is read. A token's logits stand at the place before it. */
function toRead({ request, prompt, from }: Job): { readonly first: number; readonly end: number } {
  return { first: from - 1, end: request === null ? prompt.length - 1 : prompt.length };
}

/** How the token at a position of a request's row is edited; null = not. */
function steeringAt({ request }: Job, position: number): PlannedSteering | null {
  const steering = request?.steering ?? null;
  return steering !== null && position >= steering.from ? steering : null;
}

/** Rows whose next position is edited alike. */
function alike(writing: Iterable<Job>): Iterable<readonly [PlannedSteering | null, Job[]]> {
  const groups = new Map<string | null, [PlannedSteering | null, Job[]]>();
  for (const job of writing) {
    const steering = steeringAt(job, job.slot!.ids.length);
    const known = groups.get(steering?.key ?? null);
    if (known === undefined) groups.set(steering?.key ?? null, [steering, [job]]);
    else known[1].push(job);
  }
  return groups.values();
}

function allFinite(numbers: Float32Array, at: number, count: number): boolean {
  for (let i = at; i < at + count; i++) if (!Number.isFinite(numbers[i])) return false;
  return true;
}

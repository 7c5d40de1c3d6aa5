import { MessageChannel } from 'node:worker_threads';
import { CallerError, invariant } from '../../domain/errors.ts';
import type { ModelInfo } from '../../domain/model.ts';
import type { Generated, GenerateRequest, Generator, ScoredToken } from '../../ports/Generator.ts';
import type { GeneratorResult, GeneratorTask, PlannedRequest } from './generatorMessages.ts';
import { planSteering } from './steeringPlan.ts';
import type { WorkerPool } from './workerPool.ts';

/** Most alternatives reported per token. */
const MAX_TOP = 20;

/** A generator whose runs happen in worker threads; this thread only checks requests and passes arrays. */
export class OrtGenerator implements Generator {
  readonly info: ModelInfo;
  readonly #pool: WorkerPool<GeneratorTask, GeneratorResult>;

  constructor(info: ModelInfo, pool: WorkerPool<GeneratorTask, GeneratorResult>) {
    this.info = info;
    this.#pool = pool;
  }

  /** Throws BAD_INPUT (also for a steering that makes numbers overflow), TEXT_TOO_LONG, BAD_DICTIONARY; OutsideError when the run failed or the generator is closed. */
  async generate(request: GenerateRequest, onToken?: (token: ScoredToken) => void): Promise<Generated> {
    this.#check(request.ids, request.topLogprobs);
    const { temperature, topP, maxTokens } = request;
    if (!(temperature >= 0 && Number.isFinite(temperature))) throw new CallerError('BAD_INPUT', `temperature: expected 0 or more, found ${temperature}`);
    if (!(topP > 0 && topP <= 1)) throw new CallerError('BAD_INPUT', `topP: expected more than 0 and at most 1, found ${topP}`);
    if (!(Number.isInteger(maxTokens) && maxTokens >= 0)) throw new CallerError('BAD_INPUT', `maxTokens: expected a whole number, found ${maxTokens}`);
    const planned = { ...request, steering: request.steering === undefined ? null : planSteering(request.steering, this.info) };
    const result = onToken === undefined ? await this.#pool.run({ kind: 'generate', request: planned, port: null }) : await this.#heard(planned, onToken);
    if (result.kind === 'overflow') {
      const message = `the steered run overflows at position ${result.position}: choose smaller values or factors, or fewer features`;
      throw new CallerError('BAD_INPUT', message, { field: ['steering', 'features'] });
    }
    invariant(result.kind === 'generate', 'an answer to another question');
    return { tokens: result.tokens, finish: result.finish };
  }

  /** Throws BAD_INPUT, TEXT_TOO_LONG; OutsideError when the run failed or the generator is closed. */
  async score(ids: Int32Array, from: number, topLogprobs: number): Promise<readonly ScoredToken[]> {
    this.#check(ids, topLogprobs);
    if (!(Number.isInteger(from) && from >= 1 && from <= ids.length)) throw new CallerError('BAD_INPUT', `from: expected 1 to ${ids.length}, found ${from}`);
    const result = await this.#pool.run({ kind: 'score', ids, from, top: topLogprobs });
    invariant(result.kind === 'score', 'an answer to another question');
    return result.tokens;
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** A listener that throws fails the request, after its run. */
  async #heard(request: PlannedRequest, onToken: (token: ScoredToken) => void): Promise<GeneratorResult> {
    const { port1, port2 } = new MessageChannel();
    let heard = 0;
    let failure: { readonly cause: unknown } | undefined;
    const hear = (token: ScoredToken): void => {
      heard++;
      if (failure !== undefined) return;
      try {
        onToken(token);
      } catch (cause) {
        failure = { cause };
      }
    };
    port1.on('message', hear);
    try {
      const result = await this.#pool.run({ kind: 'generate', request, port: port2 }, [port2]);
      // The answer may overtake the last tokens.
      port1.off('message', hear);
      if (result.kind !== 'overflow') for (const token of result.tokens.slice(heard)) hear(token);
      if (failure !== undefined) throw failure.cause;
      return result;
    } finally {
      port1.close();
    }
  }

  #check(ids: Int32Array, top: number): void {
    const { vocabSize, contextLength } = this.info;
    if (ids.length === 0) throw new CallerError('BAD_INPUT', 'ids: expected one token at least, found none');
    if (ids.length > contextLength) throw new CallerError('TEXT_TOO_LONG', `ids: expected at most ${contextLength} tokens, the context of ${this.info.name}, found ${ids.length}`);
    const bad = ids.find((id) => !(id >= 0 && id < vocabSize));
    if (bad !== undefined) throw new CallerError('BAD_INPUT', `ids: expected 0 to ${vocabSize - 1}, found ${bad}`);
    if (!(Number.isInteger(top) && top >= 0 && top <= MAX_TOP)) throw new CallerError('BAD_INPUT', `topLogprobs: expected 0 to ${MAX_TOP}, found ${top}`);
  }
}

import { Piscina } from 'piscina';
import { checkSpec } from '../../dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { CallerError, invariant, InvariantError, messageOf, OutsideError } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { Trainer, TrainerStart, TrainingEngine } from '../../ports/TrainingEngine.ts';
import { createOn } from '../../training/trainerCalls.ts';
import type { TfjsBackend } from './backend.ts';
import { tfjsLoss } from './losses/registry.ts';
import type { TfjsAnswers, TfjsCall, TfjsReply } from './protocol.ts';

export interface TfjsEngineOptions {
  /** Worker threads; trainers are spread over them in turn. Native TensorFlow uses one, and has threads of its own. */
  readonly workers: number;
  /** Left out: the fastest that can be loaded, of native TensorFlow (optional package), WebAssembly and plain JavaScript. */
  readonly backend?: TfjsBackend;
  /** Is told once, in one line, which backend it is and why. */
  readonly log?: (line: string) => void;
}

/**
 * Trains with TensorFlow.js in worker threads; the caller's event loop is never blocked. The same architectures, state and
 * schedules as on onnxruntime, but gradients by automatic differentiation: slower, and an independent check of it. A trainer
 * stays on one worker, so how many workers there are changes no result.
 *
 * Throws DEVICE_UNAVAILABLE when the backend asked for cannot be loaded.
 */
export async function openTfjsTrainingEngine({ workers, backend: wanted, log }: TfjsEngineOptions): Promise<TrainingEngine> {
  invariant(workers >= 1, 'at least one worker');
  const first = new TfjsThread();
  let opened;
  try {
    opened = await first.call({ kind: 'open', backend: wanted });
  } catch (error) {
    await first.stop();
    throw error;
  }
  const { backend, name, why } = opened;
  log?.(why);
  const concurrency = backend === 'tensorflow' ? 1 : workers;
  const threads = [Promise.resolve(first)];
  const threadOf = (trainer: number): Promise<TfjsThread> =>
    (threads[trainer % concurrency] ??= (async () => {
      const thread = new TfjsThread();
      await thread.call({ kind: 'open', backend });
      return thread;
    })());
  let nextTrainer = 0;
  let closed = false;
  return {
    name,
    concurrency,
    async create(spec: TrainerSpec, start: TrainerStart): Promise<Trainer> {
      invariant(!closed, 'create on a closed training engine');
      checkSpec(trainableArchitecture(spec.architecture), spec); // refuse here, where the caller can see why
      tfjsLoss(spec.architecture);
      const trainer = nextTrainer++;
      const thread = await threadOf(trainer);
      return await createOn(thread, trainer, spec, start);
    },
    async close(): Promise<void> {
      closed = true;
      await Promise.all(threads.map(async (thread) => (await thread).stop()));
    },
  };
}

/** A thread of its own that answers calls in the order they are made. */
class TfjsThread {
  /** Pool of the one thread: calls for the trainers it holds must not reach another. No flags of this process in it. */
  readonly #pool = new Piscina<TfjsCall, TfjsReply>({ filename: new URL('./tfjsWorker.ts', import.meta.url).href, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 1, execArgv: [] });
  #failure: OutsideError | undefined;

  constructor() {
    // The pool replaces a thread that dies, but its trainers are lost.
    this.#pool.on('error', (cause) => this.#fail(cause));
  }

  async call<K extends TfjsCall['kind']>(call: Extract<TfjsCall, { kind: K }>, transferList: ArrayBuffer[] = []): Promise<TfjsAnswers[K]> {
    if (this.#failure !== undefined) throw this.#failure;
    // The reply to a call is of its kind.
    const reply = (await this.#pool.run(call, { transferList }).catch((cause: unknown) => {
      throw this.#fail(cause);
    })) as TfjsReply<K>;
    if ('answer' in reply) return reply.answer;
    if (reply.kind === 'bug') throw new InvariantError(reply.error);
    if (reply.kind === 'unavailable') throw new CallerError('DEVICE_UNAVAILABLE', reply.error);
    throw new OutsideError('tfjs', reply.error);
  }

  async stop(): Promise<void> {
    this.#failure ??= new OutsideError('tfjs', 'the training engine was closed');
    await this.#pool.destroy();
  }

  #fail(cause: unknown): OutsideError {
    return (this.#failure ??= new OutsideError('tfjs', `training worker failed: ${messageOf(cause)}`, { cause }));
  }
}

import { Worker } from 'node:worker_threads';
import { checkSpec } from '../../dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { invariant, InvariantError, OutsideError } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { Trainer, TrainerStart, TrainingEngine } from '../../ports/TrainingEngine.ts';
import type { Device } from './device.ts';
import { createOn } from '../../training/trainerCalls.ts';
import type { TrainerAnswers, TrainerCall } from '../../training/trainerCalls.ts';
import type { TrainerReply, TrainerRequest } from './trainerProtocol.ts';

export interface TrainingEngineOptions {
  /** Worker threads; trainers are spread over them in turn. */
  readonly workers: number;
  /** Threads of one matrix product. 1 with as many workers as cores is fastest for several dictionaries at once. */
  readonly threadsPerWorker: number;
  /** What chooseDevice found; the CPU when left out. Off the CPU every step is the step graph's, several in one run. */
  readonly device?: Device;
}

/**
 * Trains on onnxruntime in worker threads; the caller's event loop is never blocked. A trainer stays on one worker and
 * sees its calls in order, so how many workers there are changes no result.
 */
export function openTrainingEngine({ workers: workerCount, threadsPerWorker, device = 'cpu' }: TrainingEngineOptions): TrainingEngine {
  invariant(workerCount >= 1 && threadsPerWorker >= 1, 'at least one worker with one thread');
  const workers: TrainerThread[] = [];
  let nextTrainer = 0;
  let closed = false;
  return {
    name: `onnxruntime ${device}`,
    concurrency: workerCount,
    async create(spec: TrainerSpec, start: TrainerStart): Promise<Trainer> {
      invariant(!closed, 'create on a closed training engine');
      checkSpec(trainableArchitecture(spec.architecture), spec); // refuse here, where the caller can see why
      const trainer = nextTrainer++;
      const thread = (workers[trainer % workerCount] ??= new TrainerThread(threadsPerWorker, device));
      return await createOn(thread, trainer, spec, start);
    },
    async close(): Promise<void> {
      closed = true;
      await Promise.all(workers.map((thread) => thread.stop()));
    },
  };
}

interface Waiting {
  readonly resolve: (answer: TrainerAnswers[TrainerCall['kind']]) => void;
  readonly reject: (error: Error) => void;
}

/** A worker thread and the calls it has not answered. */
class TrainerThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #failure: Error | undefined;

  constructor(threads: number, device: Device) {
    // No flags of this process: some (--eval, --input-type, --test) make no sense in a worker and would stop it.
    this.#worker = new Worker(new URL('./trainerWorker.ts', import.meta.url), { workerData: { threads, device }, name: 'trainer', execArgv: [] });
    this.#worker.unref();
    this.#worker.on('message', (reply: TrainerReply) => this.#settle(reply));
    this.#worker.on('error', (cause) => this.#fail(new OutsideError('onnxruntime', `training worker failed: ${String(cause)}`, { cause })));
    this.#worker.on('exit', (code) => this.#fail(new OutsideError('onnxruntime', `training worker stopped with code ${code}`)));
  }

  call<K extends TrainerCall['kind']>(call: Extract<TrainerCall, { kind: K }>, transfer: ArrayBuffer[] = []): Promise<TrainerAnswers[K]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const id = this.#nextId++;
      // A reply answers the call of its id, so its type is that call's.
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      if (this.#waiting.size === 1) this.#worker.ref(); // unanswered calls keep the process alive, an idle worker does not
      this.#worker.postMessage({ id, call } satisfies TrainerRequest, transfer);
    });
  }

  async stop(): Promise<void> {
    this.#failure ??= new OutsideError('onnxruntime', 'the training engine was closed');
    await this.#worker.terminate();
  }

  #settle(reply: TrainerReply): void {
    const waiting = this.#waiting.get(reply.id);
    invariant(waiting !== undefined, `reply ${reply.id} answers no call`);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('error' in reply) waiting.reject(reply.bug ? new InvariantError(reply.error) : new OutsideError('onnxruntime', reply.error));
    else waiting.resolve(reply.answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

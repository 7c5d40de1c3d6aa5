import type { HookPoint } from '../../domain/hookPoint.ts';
import type { ModelInfo } from '../../domain/model.ts';
import type { LanguageModel } from '../../lm/architecture.ts';
import { pointOf } from '../../lm/point.ts';
import { weightView } from '../../lm/weightLayout.ts';
import type { GradientModel, GradientRequest } from '../../ports/GradientModel.ts';
import type { ForwardRequest, ForwardResult } from '../../ports/SubjectModel.ts';
import { planGradient } from './gradientPlan.ts';
import type { LoadedWeights } from './loadWeights.ts';
import type { WorkerResult, WorkerTask } from './messages.ts';
import { planRequest } from './requestPlan.ts';
import { shareEncoder } from './sharedEncoders.ts';
import type { WorkerPool } from './workerPool.ts';

/** A subject model whose runs happen in worker threads; this thread only checks requests and passes arrays. */
export class OrtSubjectModel implements GradientModel {
  readonly info: ModelInfo;
  readonly #model: LanguageModel;
  readonly #weights: LoadedWeights;
  readonly #pool: WorkerPool<WorkerTask, WorkerResult>;

  constructor(info: ModelInfo, model: LanguageModel, weights: LoadedWeights, pool: WorkerPool<WorkerTask, WorkerResult>) {
    this.info = info;
    this.#model = model;
    this.#weights = weights;
    this.#pool = pool;
  }

  get concurrency(): number {
    return this.#pool.size;
  }

  async forward(request: ForwardRequest): Promise<ForwardResult> {
    const task = planRequest(request, this.#model, shareEncoder);
    const result = await this.#pool.run(task);
    const byPoint = new Map(result.taps);
    const taps = new Map<HookPoint, Float32Array>();
    for (const hook of request.taps) taps.set(hook, byPoint.get(pointOf(hook, this.#model.layers))!);
    return { taps, logits: result.logits, codes: result.codes };
  }

  async gradient(request: GradientRequest): Promise<ReadonlyMap<HookPoint, Float32Array>> {
    const { gradients } = await this.#pool.run(planGradient(request, this.#model));
    const byPoint = new Map(gradients);
    return new Map(request.wrt.map((hook) => [hook, byPoint.get(pointOf(hook, this.#model.layers))!]));
  }

  /** Shared with the workers: read only. */
  async unembedding(): Promise<Float32Array> {
    return weightView(this.#weights.layout, this.#weights.buffer, this.#model.unembedding);
  }

  /** Shared with the workers: read only. */
  async finalNorm(): Promise<{ gain: Float32Array; centres: boolean }> {
    const { gain, centres } = this.#model.finalNorm;
    return { gain: weightView(this.#weights.layout, this.#weights.buffer, gain), centres };
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }
}

import type { MessagePort } from 'node:worker_threads';
import type { CachedSpan } from '../../lm/cachedSpan.ts';
import type { Generated, GenerateRequest, ScoredToken } from '../../ports/Generator.ts';
import type { Device } from './device.ts';
import type { PlannedSteering } from './steeringPlan.ts';

/** What a generator's worker is given when it starts. */
export interface GeneratorSetup {
  /** Parsed config.json, from which graphs that steer are compiled. */
  readonly config: unknown;
  readonly span: CachedSpan;
  readonly vocabSize: number;
  /** Weights laid out by layOutWeights. */
  readonly weights: SharedArrayBuffer;
  readonly device: Device;
  readonly threads: number;
  /** Rows of tokens a worker keeps keys and values of. */
  readonly slots: number;
  /** Longest row. */
  readonly maxLength: number;
  /** Whether keys and values of equal beginnings are used again. */
  readonly reuse: boolean;
}

/** A request to generate, its steering in a worker's terms. */
export interface PlannedRequest extends Omit<GenerateRequest, 'steering'> {
  readonly steering: PlannedSteering | null;
}

export type GeneratorTask =
  | {
      readonly kind: 'generate';
      readonly request: PlannedRequest;
      /** Hears of every token as it comes; null where nobody listens. */
      readonly port: MessagePort | null;
    }
  | { readonly kind: 'score'; readonly ids: Int32Array; readonly from: number; readonly top: number };

/** `reused` is the number of prompt tokens whose keys and values were there already. */
export type GeneratorResult = { readonly reused: number } & (
  | ({ readonly kind: 'generate' } & Generated)
  | { readonly kind: 'score'; readonly tokens: readonly ScoredToken[] }
  /** The steering made numbers overflow before this position's prediction. */
  | { readonly kind: 'overflow'; readonly position: number }
);

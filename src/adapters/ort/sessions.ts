import type { InferenceSession } from 'onnxruntime-node';
import type { Device } from './device.ts';

/**
 * Session options for inference in one of several workers: no spinning, so that idle threads leave the cores to the others.
 */
export function sessionOptions(
  device: Device,
  threads: number,
  externalData: readonly { readonly path: string; readonly data: Uint8Array }[] = [],
): InferenceSession.SessionOptions {
  return {
    executionProviders: [device],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    externalData,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

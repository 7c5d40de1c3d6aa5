import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { CallerError, messageOf } from '../../domain/errors.ts';
import { registerGradients } from './gradients.ts';
import { transposeBeforeProducts } from './wasmProducts.ts';

/** Backends of TensorFlow.js this engine knows, fastest first. */
export const TFJS_BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const;
export type TfjsBackend = (typeof TFJS_BACKENDS)[number];

export interface OpenedBackend {
  readonly backend: TfjsBackend;
  /** Library and device, as runs record it: `tfjs wasm`. */
  readonly name: string;
  /** Which backend it is, and why none that comes before it. One line. */
  readonly why: string;
}

/** Loads a backend's package, which registers it, and answers what engine names add after `tfjs `. */
const LOADERS: Readonly<Record<TfjsBackend, () => Promise<string>>> = {
  /** Native TensorFlow, an optional dependency: its binary is fetched when it is installed, which may fail. */
  async tensorflow() {
    restoreRemovedUtilities();
    const optional: string = '@tensorflow/tfjs-node-gpu'; // not a literal: the compiler must not want it installed
    await import(optional);
    await use('tensorflow');
    const native = tf.backend() as { readonly isUsingGpuDevice?: boolean };
    return native.isUsingGpuDevice === true ? 'tensorflow gpu' : 'tensorflow cpu';
  },
  /** SIMD, one thread: the package has no threads in Node. It finds its .wasm files beside its own code. */
  async wasm() {
    await import('@tensorflow/tfjs-backend-wasm');
    await use('wasm');
    transposeBeforeProducts();
    return 'wasm';
  },
  async cpu() {
    await import('@tensorflow/tfjs-backend-cpu');
    await use('cpu');
    return 'cpu';
  },
};

/**
 * Makes a backend of this thread's TensorFlow.js the one in use: `wanted`, or the fastest that can be loaded.
 * Throws DEVICE_UNAVAILABLE when `wanted` cannot be loaded. Prints nothing.
 */
export async function openBackend(wanted: TfjsBackend | undefined): Promise<OpenedBackend> {
  tf.enableProdMode(); // no banners on the console
  const failures: string[] = [];
  for (const backend of wanted === undefined ? TFJS_BACKENDS : [wanted]) {
    try {
      const name = `tfjs ${await LOADERS[backend]()}`;
      await registerGradients();
      return { backend, name, why: [name, ...failures].join('; ') };
    } catch (cause) {
      failures.push(`${backend} cannot be used: ${reasonOf(cause)}`);
    }
  }
  throw new CallerError('DEVICE_UNAVAILABLE', `TensorFlow.js: ${failures.join('; ')}. Install its package, or leave the backend out to take the fastest there is`);
}

/** Throws unless the backend computes: that its package loads says little. */
async function use(backend: TfjsBackend): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error('its initialisation failed');
  await tf.ready();
  const product = tf.tidy(() => tf.matMul(tf.tensor2d([1, 2], [1, 2]), tf.tensor2d([3, 4], [2, 1])));
  const [value] = await product.data();
  product.dispose();
  if (value !== 11) throw new Error(`it computed 1·3 + 2·4 = ${value}`);
}

/** Functions that @tensorflow/tfjs-node-gpu 4.22 calls and Node 23 removed. Puts them back in this process's `util`. */
function restoreRemovedUtilities(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util['isArray'] ??= Array.isArray;
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
}

/** One line, without the paths that Node's loader adds. */
function reasonOf(cause: unknown): string {
  if ((cause as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND') return 'its package is not installed';
  return messageOf(cause).split('\n', 1)[0]!;
}

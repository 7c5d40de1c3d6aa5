import { createRequire, registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { getGradient } from '@tensorflow/tfjs-core';
import { invariant } from '../../domain/errors.ts';

/**
 * Registers the library's gradients of its operations. Its build for Node leaves them out, and the modules that hold them name
 * each other without `.js`, as bundlers allow and Node does not: the ending is added while they load. They share engine and
 * registry with the build for Node through the global object. Native TensorFlow's package brings them itself.
 */
export async function registerGradients(): Promise<void> {
  if (getGradient('Reshape') !== undefined) return;
  const entry = pathToFileURL(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/dist/register_all_gradients.js')).href;
  const folder = new URL('.', entry).href;
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (context.parentURL?.startsWith(folder) !== true || !specifier.startsWith('.')) return next(specifier, context);
      return next(specifier.endsWith('.js') ? specifier : `${specifier}.js`, context);
    },
  });
  try {
    await import(entry);
  } finally {
    hooks.deregister();
  }
  invariant(getGradient('Reshape') !== undefined, 'TensorFlow.js has its gradients');
}

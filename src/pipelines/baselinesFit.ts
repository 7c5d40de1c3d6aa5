import { signedPairs } from '../baselines/directions.ts';
import { symmetricEigen } from '../baselines/eigen.ts';
import type { Eigen } from '../baselines/eigen.ts';
import { fitIca } from '../baselines/ica.ts';
import type { Kernels } from '../baselines/kernels.ts';
import { neuronParameters } from '../baselines/neuron.ts';
import { fitNmf } from '../baselines/nmf.ts';
import { nmfParameters } from '../baselines/nmfEncoder.ts';
import { pcaDirections } from '../baselines/pca.ts';
import { randomParameters } from '../baselines/random.ts';
import type { DictionaryParameters } from '../dictionary/architecture.ts';
import type { BaselineArchitecture } from '../domain/dictionary.ts';
import { unreachable } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { Rng } from '../math/rng.ts';
import type { Progress } from '../ports/Progress.ts';
import { randomFeatures } from './baselinesOptions.ts';
import type { BaselineOptions } from './baselinesOptions.ts';
import type { PassResult } from './baselinesPass.ts';
import { shared } from './graphKernels.ts';

/** A fitted decomposition, from which the plain dictionary (null) and its top-k variants are made. */
export interface BaselineFit {
  parameters(k: number | null): DictionaryParameters;
  /** What the run's metrics say about the fit. */
  readonly facts: Readonly<Record<string, number | boolean>>;
}

/** Whether a kind is fitted to the covariance, and to a sample of vectors. */
export const NEEDS: Readonly<Record<BaselineArchitecture, { readonly covariance: boolean; readonly sample: boolean }>> = {
  pca: { covariance: true, sample: false },
  ica: { covariance: true, sample: true },
  nmf: { covariance: false, sample: true },
  neuron: { covariance: false, sample: false },
  random: { covariance: false, sample: false },
};

/** From here on finding eigenvectors takes seconds to minutes. */
const SLOW_EIGEN = 1024;

/** Fits baselines of one hook point; the eigenvectors are found once for all that need them. A fit that stopped early says so. */
export function baselineFitter({ kernels, progress }: { readonly kernels: Kernels; readonly progress: Progress }, hookPoint: HookPoint, D: number, data: PassResult | null, options: BaselineOptions): (kind: BaselineArchitecture) => Promise<BaselineFit> {
  const seed = Rng.derive(options.seed, 'baselines', hookPoint).uint32();
  let eigen: Eigen | undefined;
  const eigenvectors = (): Eigen => {
    if (eigen === undefined && D >= SLOW_EIGEN) progress.say(`eigenvectors of the ${D} × ${D} covariance at ${hookPoint}: this takes a while and cannot show progress`);
    return (eigen ??= symmetricEigen(data!.covariance));
  };
  return async (kind): Promise<BaselineFit> => {
    switch (kind) {
      case 'pca': {
        const { values } = eigenvectors();
        const directions = pcaDirections(data!.mean, eigenvectors());
        return { parameters: (k) => signedPairs(directions, k), facts: { fittedTo: data!.count, largestEigenvalue: values[0]!, smallestEigenvalue: values[D - 1]! } };
      }
      case 'ica': {
        const { maxIterations } = options.ica;
        const task = progress.start(`ica ${hookPoint}`, maxIterations, 'iterations');
        const fit = await fitIca(kernels, data!.sample, data!.mean, eigenvectors(), { ...options.ica, seed }, (iteration, change) => task.update(iteration, `change ${change.toExponential(1)}`));
        const { directions, iterations, change, converged, components } = fit;
        task.finish(`${iterations} iterations`);
        if (!converged) progress.say(`ica at ${hookPoint} did not converge: change ${change.toExponential(1)} after ${iterations} iterations, expected below ${options.ica.tolerance}`);
        return { parameters: (k) => signedPairs(directions, k), facts: { fittedTo: data!.sample.length / D, iterations, change, converged, components } };
      }
      case 'nmf': {
        const task = progress.start(`nmf ${hookPoint}`, options.nmf.maxIterations, 'iterations');
        const vectors = everyNth(data!.sample, D, options.nmf.sampleVectors);
        const fit = await fitNmf(kernels, vectors, D, { ...options.nmf, nFeatures: D, seed }, undefined, (iteration, error) => task.update(iteration, `error ${error.toFixed(4)}`));
        const { iterations, converged } = fit;
        task.finish(`${iterations} iterations`);
        if (!converged) progress.say(`nmf at ${hookPoint} did not converge: its error still fell after ${iterations} iterations`);
        const { parameters, fvuFitted } = await nmfParameters(kernels, vectors, fit);
        return { parameters, facts: { fittedTo: vectors.length / D, iterations, converged, fvuFitted } };
      }
      case 'neuron':
        return { parameters: (k) => neuronParameters(D, k), facts: {} };
      case 'random':
        return { parameters: (k) => randomParameters(D, randomFeatures(options.ratio, D), seed, k), facts: {} };
      default:
        return unreachable(kind);
    }
  };
}

/** `most` vectors of the list, evenly spaced; the list itself when there are no more. */
function everyNth(list: Float32Array, D: number, most: number): Float32Array {
  const n = list.length / D;
  if (n <= most) return list;
  const out = shared(most * D);
  for (let i = 0; i < most; i++) {
    const from = Math.floor((i * n) / most) * D;
    out.set(list.subarray(from, from + D), i * D);
  }
  return out;
}

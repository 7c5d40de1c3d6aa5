import { CovarianceMeter } from '../baselines/covariance.ts';
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
  ica: { covariance: false, sample: true },
  nmf: { covariance: false, sample: true },
  neuron: { covariance: false, sample: false },
  random: { covariance: false, sample: false },
};

/** From here on finding eigenvectors takes seconds to minutes. */
const SLOW_EIGEN = 1024;

/** Fits baselines of one hook point. What a fit gives depends on nothing but the pass and the options, so that a run continued ends the same. */
export function baselineFitter({ kernels, progress }: { readonly kernels: Kernels; readonly progress: Progress }, hookPoint: HookPoint, D: number, data: PassResult | null, options: BaselineOptions): (kind: BaselineArchitecture) => Promise<BaselineFit> {
  const seed = Rng.derive(options.seed, 'baselines', hookPoint).uint32();
  const eigenOf = (covariance: Float64Array): Eigen => {
    if (D >= SLOW_EIGEN) progress.say(`eigenvectors of a ${D} × ${D} covariance at ${hookPoint}: this takes a while and cannot show progress`);
    return symmetricEigen(covariance);
  };
  return async (kind): Promise<BaselineFit> => {
    switch (kind) {
      case 'pca': {
        const eigen = eigenOf(data!.covariance);
        const directions = pcaDirections(data!.mean, eigen);
        return { parameters: (k) => signedPairs(directions, k), facts: { fittedTo: data!.count, largestEigenvalue: eigen.values[0]!, smallestEigenvalue: eigen.values[D - 1]! } };
      }
      case 'ica': {
        const { maxIterations } = options.ica;
        // Whitened by the sample's own moments: by those of all vectors it would not be quite white.
        const { sample } = data!;
        const meter = new CovarianceMeter(D);
        const origin = Float64Array.from(sample.subarray(0, D));
        meter.add(await kernels.moments(sample, origin), origin);
        const eigen = eigenOf(meter.covariance());
        const task = progress.start(`ica ${hookPoint}`, maxIterations, 'iterations');
        const fit = await fitIca(kernels, sample, meter.mean, eigen, { ...options.ica, seed }, (iteration, change) => task.update(iteration, `change ${change.toExponential(1)}`));
        const { directions, iterations, change, converged, components } = fit;
        task.finish(`${iterations} iterations`);
        if (!converged) progress.say(`ica at ${hookPoint} did not converge: change ${change.toExponential(1)} after ${iterations} iterations, expected below ${options.ica.tolerance}`);
        return { parameters: (k) => signedPairs(directions, k), facts: { fittedTo: sample.length / D, iterations, change, converged, components } };
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

import { CallerError, invariant } from '../domain/errors.ts';
import { cholesky } from '../math/cholesky.ts';
import { normalCdf } from '../math/normalCdf.ts';
import { normaliseRows } from '../math/normaliseRows.ts';
import { Rng } from '../math/rng.ts';

/** Synthetic activations of which everything is known. */
export interface SuperpositionSpec {
  /** G, true features. */
  readonly features: number;
  /** D < G, dimensions they share. */
  readonly dims: number;
  /** Mean number of features active on a vector. */
  readonly active: number;
  /** Feature i (from 1) is active with probability ∝ i^−power: 0 = all equally often. */
  readonly power: number;
  /** Whether features tend to be active together. */
  readonly correlated: boolean;
  readonly seed: number;
}

/**
 * Vectors x = Σ_i a_i·g_i in superposition: G random directions g_i of unit length in D dimensions, few a_i other than 0
 * (Sharkey et al. 2022; the paper's sc_datasets/random_dataset.py). Feature i is active with probability p_i independently of
 * the others, and its magnitude is then a product of two uniform draws from (0, 1), as there.
 *
 * Correlated: each vector draws z ~ N(0, C) and feature i is active with probability min(1, 2·p_i·Φ(z_i)), whose mean is
 * about p_i. C comes from a symmetric matrix of uniform draws with its diagonal raised until it is positive definite, then
 * scaled to variances of 1. (The reference draws z once a batch and leaves the variances as they are.)
 */
export class SuperpositionData {
  readonly spec: SuperpositionSpec;
  /** g [G, D]. */
  readonly directions: Float32Array;
  /** p [G]. */
  readonly probabilities: Float64Array;
  readonly #factor: Float64Array | null;

  /** Throws BAD_INPUT for a spec that makes no sense. */
  constructor(spec: SuperpositionSpec) {
    check(spec);
    this.spec = spec;
    const { features: G, dims: D, active, power, correlated, seed } = spec;
    const rng = Rng.derive(seed, 'superposition', 'directions');
    this.directions = normaliseRows(Float32Array.from({ length: G * D }, () => rng.normal()), D, 1e-8);
    const weights = Float64Array.from({ length: G }, (_, i) => (i + 1) ** -power);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    this.probabilities = weights.map((weight) => (active * weight) / total);
    if (this.probabilities[0]! > 1) {
      throw new CallerError('BAD_INPUT', `with power ${power} the most frequent of ${G} features would be active with probability ${this.probabilities[0]!.toFixed(2)} to have ${active} active: expected at most 1. Lower power or active`);
    }
    this.#factor = correlated ? correlationFactor(G, Rng.derive(seed, 'superposition', 'correlation')) : null;
  }

  /** Vectors [count, D] of the block of this name; the same name gives the same vectors. */
  vectors(block: string, count: number): Float32Array {
    const { dims: D, seed } = this.spec;
    const rng = Rng.derive(seed, 'superposition', 'block', block);
    const out = new Float32Array(count * D);
    const chances = Float64Array.from(this.probabilities);
    for (let row = 0; row < count; row++) {
      if (this.#factor !== null) this.#drawChances(chances, rng);
      for (let i = 0; i < chances.length; i++) {
        if (rng.next() >= chances[i]!) continue;
        const magnitude = rng.next() * rng.next();
        for (let d = 0; d < D; d++) out[row * D + d] = out[row * D + d]! + magnitude * this.directions[i * D + d]!;
      }
    }
    return out;
  }

  #drawChances(chances: Float64Array, rng: Rng): void {
    const G = chances.length;
    const factor = this.#factor!;
    const normals = Float64Array.from({ length: G }, () => rng.normal());
    for (let i = 0; i < G; i++) {
      let z = 0;
      for (let j = 0; j <= i; j++) z += factor[i * G + j]! * normals[j]!;
      chances[i] = Math.min(1, 2 * this.probabilities[i]! * normalCdf(z));
    }
  }
}

/** Most features whose correlations are drawn: their matrix takes G² numbers, and a vector G²/2 multiplications. */
const CORRELATED_LIMIT = 1024;

function check({ features, dims, active, power, correlated }: SuperpositionSpec): void {
  const bad = (message: string): never => {
    throw new CallerError('BAD_INPUT', message);
  };
  if (!Number.isSafeInteger(dims) || dims < 2) bad(`dims: expected a whole number from 2, found ${dims}`);
  if (!Number.isSafeInteger(features) || features < 2) bad(`features: expected a whole number from 2, found ${features}`);
  if (correlated && features > CORRELATED_LIMIT) bad(`features: correlations are drawn for at most ${CORRELATED_LIMIT}, found ${features}`);
  if (!(active > 0 && active <= features)) bad(`active: expected a number above 0 and at most the ${features} features, found ${active}`);
  if (!(power >= 0 && Number.isFinite(power))) bad(`power: expected a number from 0, found ${power}`);
}

/** Lower triangular L with L·Lᵀ = C. */
function correlationFactor(G: number, rng: Rng): Float64Array {
  const uniform = new Float64Array(G * G);
  for (let i = 0; i < G; i++) for (let j = 0; j <= i; j++) uniform[i * G + j] = uniform[j * G + i] = (rng.next() + rng.next()) / 2;
  // The least eigenvalue of such a matrix lies near −2·√(G/24): the entries' variance is 1/24.
  for (let raise = 2 * Math.sqrt(G / 24); ; raise *= 1.05) {
    const diagonal = Float64Array.from({ length: G }, (_, i) => Math.sqrt(Math.max(1e-12, uniform[i * G + i]! + raise)));
    const correlation = uniform.map((value, at) => (Math.floor(at / G) === at % G ? 1 : value / (diagonal[Math.floor(at / G)]! * diagonal[at % G]!)));
    const factor = cholesky(correlation, G);
    if (factor !== null) return factor;
    invariant(raise < 1e6, 'a large enough diagonal makes the matrix positive definite');
  }
}

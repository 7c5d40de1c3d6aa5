import { createHash } from 'node:crypto';
import { pointsOf } from '../../causal/hookOrder.ts';
import type { DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError } from '../../domain/errors.ts';
import { depthOf, pointOf } from '../../lm/point.ts';
import type { EditGroup } from '../../lm/featureEdits.ts';
import type { SteeredFeature, Steering } from '../../ports/Generator.ts';
import { checkDictionary } from './requestPlan.ts';
import type { ModelSizes } from './requestPlan.ts';
import { shareEncoder } from './sharedEncoders.ts';

/** Edits of K features of one dictionary, as featureEdits.ts names them. */
export interface PlannedEdit extends EditGroup {
  /** The whole encoder and its biases [F, D] [F] in shared memory where only the k largest count, else the K rows. */
  readonly encoder: Float32Array;
  readonly bias: Float32Array;
  readonly threshold: Float32Array;
  readonly inputScale: number;
  readonly selected: Int32Array;
  /** 0 where all above their threshold count. */
  readonly k: number;
  readonly gain: Float32Array;
  readonly shift: Float32Array;
  /** [K, dOut], output scale included. */
  readonly decoder: Float32Array;
}

/** A steering in a worker's terms. */
export interface PlannedSteering {
  /** Equal keys edit alike, whatever `from`. */
  readonly key: string;
  /** Equal ones are edited by one compiled graph: at the same points, whichever the features. */
  readonly graph: string;
  readonly from: number;
  readonly edits: readonly PlannedEdit[];
}

/**
 * Checks a steering and gathers what of its dictionaries a run reads. Edits that change nothing (add 0, scale by 1) are left out;
 * null when none is left. Throws BAD_INPUT, BAD_DICTIONARY.
 */
export function planSteering({ features, from }: Steering, sizes: ModelSizes): PlannedSteering | null {
  if (!Number.isInteger(from) || from < 0) throw bad(['steering', 'from'], `steering.from: expected a position from 0, found ${from}`);
  const byDictionary = new Map<DictionaryWeights, SteeredFeature[]>();
  for (const [i, feature] of features.entries()) {
    const { weights, index } = feature;
    const { name, nFeatures } = weights.config;
    const field = ['steering', 'features', String(i)];
    if (!byDictionary.has(weights)) {
      checkDictionary(weights, sizes, field);
      pointsOf(weights.config, sizes.dModel);
    }
    if (!Number.isInteger(index) || index < 0 || index >= nFeatures) throw bad(field, `feature ${index} of ${name}: expected 0 to ${nFeatures - 1}`);
    const known = byDictionary.get(weights) ?? [];
    if (known.some((other) => other.index === index)) throw bad(field, `feature ${index} of ${name} is steered twice: give each once`);
    const { gain, shift } = effectOf(feature);
    if (![gain, shift].every((value) => Number.isFinite(Math.fround(value * weights.config.outputScale)))) {
      throw bad(field, `feature ${index} of ${name}: ${feature.operation.kind}: its number is not finite, or too large`);
    }
    byDictionary.set(weights, [...known, feature]);
  }
  const named: { edit: PlannedEdit; name: string }[] = [];
  for (const [weights, all] of byDictionary) {
    const kept = all.filter((feature) => effectOf(feature).gain !== 0 || effectOf(feature).shift !== 0).toSorted((a, b) => a.index - b.index);
    if (kept.length > 0) named.push(planned(weights, kept, sizes.layers));
  }
  if (named.length === 0) return null;
  named.sort(({ edit: a }, { edit: b }) => depthOf(a.read) - depthOf(b.read) || depthOf(a.edit) - depthOf(b.edit) || Number(a.largest) - Number(b.largest));
  const hash = createHash('sha256');
  for (const { edit, name } of named) {
    const { read, edit: at, largest, k, inputScale, encoder, bias, threshold, selected, gain, shift, decoder } = edit;
    hash.update(JSON.stringify([name, read, at, k, inputScale, selected.length, bias.length]));
    // A whole encoder is large, and has a name.
    for (const array of [...(largest ? [] : [encoder, bias]), threshold, selected, gain, shift, decoder]) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  const edits = named.map(({ edit }) => edit);
  const graph = JSON.stringify(edits.map(({ read, edit, largest }) => [read, edit, largest]));
  return { key: hash.digest('base64'), graph, from, edits };
}

/** ĉ − c = gain · c + shift. */
function effectOf({ operation }: SteeredFeature): { readonly gain: number; readonly shift: number } {
  switch (operation.kind) {
    case 'add':
      return { gain: 0, shift: operation.value };
    case 'set':
      return { gain: -1, shift: operation.value };
    case 'scale':
      return { gain: operation.factor - 1, shift: 0 };
    case 'ablate':
      return { gain: -1, shift: 0 };
  }
}

function planned(weights: DictionaryWeights, features: readonly SteeredFeature[], layers: number): { readonly edit: PlannedEdit; readonly name: string } {
  const { config, threshold } = weights;
  const { dIn, dOut, nFeatures, inputScale, outputScale } = config;
  const selected = Int32Array.from(features, ({ index }) => index);
  const rows = (matrix: Float32Array, width: number): Float32Array => {
    const out = new Float32Array(selected.length * width);
    for (const [i, j] of selected.entries()) out.set(matrix.subarray(j * width, (j + 1) * width), i * width);
    return out;
  };
  const largest = config.k !== null && config.k < nFeatures;
  const shared = largest ? shareEncoder(weights) : null;
  const edit: PlannedEdit = {
    read: pointOf(config.hookPoint, layers),
    edit: pointOf(config.outputHookPoint ?? config.hookPoint, layers),
    largest,
    k: largest ? config.k! : 0,
    encoder: shared === null ? rows(weights.encoder, dIn) : new Float32Array(shared.data, 0, nFeatures * dIn),
    bias: shared === null ? rows(weights.encoderBias, 1) : new Float32Array(shared.data, 4 * nFeatures * dIn, nFeatures),
    threshold: shared === null ? rows(threshold ?? new Float32Array(nFeatures), 1) : shared.threshold ?? new Float32Array(nFeatures),
    inputScale,
    selected,
    gain: Float32Array.from(features, (feature) => effectOf(feature).gain),
    shift: Float32Array.from(features, (feature) => effectOf(feature).shift),
    decoder: rows(weights.decoder, dOut).map((value) => value * outputScale),
  };
  return { edit, name: shared?.key ?? '' };
}

function bad(field: readonly string[], message: string): CallerError {
  return new CallerError('BAD_INPUT', message, { field });
}

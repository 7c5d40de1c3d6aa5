import type { Reader } from './read.ts';

/** Tokens of a text with the neuron's activation on each (Bills et al. 2023, ActivationRecord). Equal lengths. */
export interface ActivationRecord {
  readonly tokens: readonly string[];
  readonly activations: readonly number[];
}

/** What Bills et al. 2023 publish of a neuron's activations (NeuronRecord); statistics are left out. */
export interface NeuronRecord {
  readonly layer: number;
  readonly neuron: number;
  /** Strongest first. */
  readonly top: readonly ActivationRecord[];
  readonly random: readonly ActivationRecord[];
}

export interface RecordSplits {
  readonly train: readonly ActivationRecord[];
  readonly calibration: readonly ActivationRecord[];
  readonly valid: readonly ActivationRecord[];
  readonly test: readonly ActivationRecord[];
}

export function readActivationRecord(json: Reader): ActivationRecord {
  const tokens = json.field('tokens').texts();
  const activations = json.field('activations').numbers();
  if (tokens.length !== activations.length) json.fail(`as many activations as tokens (${tokens.length} tokens, ${activations.length} activations)`);
  return { tokens, activations };
}

/** Throws BAD_INPUT where the JSON is no NeuronRecord. */
export function readNeuronRecord(json: Reader): NeuronRecord {
  const id = json.field('neuron_id');
  return {
    layer: id.field('layer_index').number(),
    neuron: id.field('neuron_index').number(),
    top: json.field('most_positive_activation_records').list().map(readActivationRecord),
    random: json.field('random_sample').list().map(readActivationRecord),
  };
}

/**
 * Their splits: the strongest records go in turn to train, calibration, valid and test, the random ones to calibration, valid and
 * test; as many of each as make equal shares. Explanations are made from train and scored on valid.
 */
export function recordSplits({ top, random }: Pick<NeuronRecord, 'top' | 'random'>): RecordSplits {
  const ofTop = (k: number): readonly ActivationRecord[] => everyNth(top, 4, k);
  const ofRandom = (k: number): readonly ActivationRecord[] => everyNth(random, 3, k);
  return {
    train: ofTop(0),
    calibration: [...ofTop(1), ...ofRandom(0)],
    valid: [...ofTop(2), ...ofRandom(1)],
    test: [...ofTop(3), ...ofRandom(2)],
  };
}

function everyNth<T>(all: readonly T[], n: number, from: number): readonly T[] {
  const share = Math.floor(all.length / n);
  return Array.from({ length: share }, (_, i) => all[from + i * n]);
}

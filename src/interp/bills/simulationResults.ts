import type { Reader } from './read.ts';

/** Published scores of a simulation; null where there is none (undefined correlation, or not stored). */
export interface PublishedScores {
  /** ev_correlation_score. */
  readonly correlation: number | null;
  /** rsquared_score. */
  readonly rsquared: number | null;
  /** absolute_dev_explained_score. */
  readonly absdev: number | null;
}

/** One text: what was simulated, what was true, and the scores of this text alone. Equal lengths. */
export interface PublishedSequence extends PublishedScores {
  readonly tokens: readonly string[];
  readonly simulated: readonly number[];
  readonly truth: readonly number[];
}

export interface PublishedExplanation {
  readonly explanation: string;
  readonly sequences: readonly PublishedSequence[];
  /** Over all texts together. */
  readonly scores: PublishedScores;
}

/** Scored explanations of one neuron (Bills et al. 2023, NeuronSimulationResults). */
export interface PublishedResults {
  /** `layer/neuron`, or null in a file that holds a bare ScoredSimulation. */
  readonly neuron: string | null;
  readonly explanations: readonly PublishedExplanation[];
}

/** Reads a NeuronSimulationResults, a ScoredExplanation or a ScoredSimulation. Throws BAD_INPUT where the JSON is none of them. */
export function readSimulationResults(json: Reader): PublishedResults {
  if (json.has('most_positive_activation_records')) json.fail('simulations with scores; this is a NeuronRecord, which holds activations alone');
  if (json.has('scored_explanations')) {
    const id = json.field('neuron_id');
    return {
      neuron: `${id.field('layer_index').number()}/${id.field('neuron_index').number()}`,
      explanations: json.field('scored_explanations').list().map(readExplanation),
    };
  }
  if (json.has('scored_simulation')) return { neuron: null, explanations: [readExplanation(json)] };
  if (json.has('scored_sequence_simulations')) return { neuron: null, explanations: [{ explanation: '', ...readSimulation(json) }] };
  return json.fail('scored_explanations, scored_simulation or scored_sequence_simulations (NeuronSimulationResults of Bills et al.)');
}

function readExplanation(json: Reader): PublishedExplanation {
  return { explanation: json.field('explanation').text(), ...readSimulation(json.field('scored_simulation')) };
}

function readSimulation(json: Reader): Omit<PublishedExplanation, 'explanation'> {
  return { sequences: json.field('scored_sequence_simulations').list().map(readSequence), scores: readScores(json) };
}

function readSequence(json: Reader): PublishedSequence {
  const simulation = json.field('simulation');
  const tokens = simulation.field('tokens').texts();
  const simulated = simulation.field('expected_activations').numbers();
  const truth = json.field('true_activations').numbers();
  if (simulated.length !== truth.length) json.fail(`as many simulated as true activations (${simulated.length} simulated, ${truth.length} true)`);
  if (tokens.length !== truth.length) json.fail(`as many tokens as activations (${tokens.length} tokens, ${truth.length} activations)`);
  return { tokens, simulated, truth, ...readScores(json) };
}

function readScores(json: Reader): PublishedScores {
  return {
    correlation: json.field('ev_correlation_score').numberOrNull(),
    rsquared: json.field('rsquared_score').numberOrNull(),
    absdev: json.field('absolute_dev_explained_score').numberOrNull(),
  };
}

import { CallerError } from '../domain/errors.ts';
import { parsePythonJson } from '../interp/bills/parseJson.ts';
import { Reader } from '../interp/bills/read.ts';
import { readSimulationResults } from '../interp/bills/simulationResults.ts';
import type { PublishedScores } from '../interp/bills/simulationResults.ts';
import { evCorrelation } from '../interp/correlation.ts';
import type { SimulatedFragment } from '../interp/correlation.ts';
import { explainedShare } from '../interp/explainedShare.ts';

/** Greatest difference of a recomputed from a published score that counts as agreement. */
export const RESCORE_TOLERANCE = 1e-6;

/** A score of a published simulation, computed again from its simulated activations. */
export interface Rescored {
  /** File, line where there are several, explanation, and text within it. */
  readonly place: string;
  readonly score: keyof PublishedScores;
  /** `sequence`: of one text; `pooled`: over all texts of the explanation. */
  readonly over: 'sequence' | 'pooled';
  readonly n: number;
  readonly published: number | null;
  readonly recomputed: number | null;
  /**
   * |published − recomputed|; 0 where both are undefined; Infinity where only the recomputed one is. Null where nothing was
   * published although there is a value: nothing to compare.
   */
  readonly difference: number | null;
}

/**
 * Recomputes the scores that JSON files of Bills et al. 2023 (NeuronSimulationResults, one a file or one a line) hold beside their
 * simulated activations. Throws BAD_INPUT where a file is no such JSON or holds no simulation.
 */
export function rescoreRecords(name: string, text: string): readonly Rescored[] {
  const found = documentsOf(name, text).flatMap(({ place, json }) => {
    const results = readSimulationResults(new Reader(json, place));
    return results.explanations.flatMap((explanation, e): Rescored[] => {
      const where = `${place}${results.neuron === null ? '' : ` ${results.neuron}`} #${e}`;
      const sequences = explanation.sequences.flatMap((sequence, s) => compare(`${where} text ${s}`, 'sequence', [sequence], sequence));
      return [...sequences, ...compare(where, 'pooled', explanation.sequences, explanation.scores)];
    });
  });
  if (found.length === 0) throw new CallerError('BAD_INPUT', `${name}: expected at least one scored explanation, found none`);
  return found;
}

/** JSON values of a text: the whole, the items of a list, or one a line. */
function documentsOf(name: string, text: string): readonly { place: string; json: unknown }[] {
  const lines = text.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [{ line, i }]));
  const byLine = lines.length > 1 && lines.every(({ line }) => line.trimStart().startsWith('{'));
  if (byLine) return lines.map(({ line, i }) => ({ place: `${name} line ${i + 1}`, json: parsePythonJson(line, `${name} line ${i + 1}`) }));
  const json = parsePythonJson(text, name);
  return Array.isArray(json) ? json.map((item: unknown, i) => ({ place: `${name}[${i}]`, json: item })) : [{ place: name, json }];
}

function compare(place: string, over: Rescored['over'], fragments: readonly SimulatedFragment[], published: PublishedScores): Rescored[] {
  const n = fragments.reduce((sum, fragment) => sum + fragment.truth.length, 0);
  const recomputed: Record<keyof PublishedScores, number | null> = {
    correlation: evCorrelation(fragments).value,
    rsquared: explainedShare(fragments, 'rsquared').value,
    absdev: explainedShare(fragments, 'absdev').value,
  };
  return (['correlation', 'rsquared', 'absdev'] as const).map((score) => {
    const [was, is] = [published[score], recomputed[score]];
    const difference = was === null ? (is === null ? 0 : null) : is === null ? Infinity : Math.abs(was - is);
    return { place, score, over, n, published: was, recomputed: is, difference };
  });
}

import type { Exemplar } from '../domain/feature.ts';
import { Bootstrap } from '../interp/bootstrap.ts';
import type { SimulatedFragment } from '../interp/correlation.ts';
import { simulationScores } from '../interp/simulationScores.ts';
import { refOf } from '../interp/split.ts';
import type { ScoreAttempt, Scorer, ScoreTask } from '../ports/Scorer.ts';

/** Predicts activations from an explanation without seeing the true ones. */
export interface Simulator {
  /** e.g. `pattern-v1`; goes into the scorer's parameters. */
  readonly name: string;
  /** Version of the prompt the predictions come from; null where there is none. */
  readonly promptVersion: string | null;
  simulates(explainer: string): boolean;
  /** Predictions for fragments of token ids, one array of equal length each; or the reason there are none. */
  simulate(task: Pick<ScoreTask, 'description' | 'detail'>, fragments: readonly (readonly number[])[]): Promise<readonly Float32Array[] | { readonly failed: string }>;
}

/** Bills et al. 2023: an explanation is worth how well the activations simulated from it correlate with the true ones. */
export function simulationScorer(simulator: Simulator, seed: number): Scorer {
  const bootstrap = new Bootstrap(seed);
  return {
    name: 'simulation',
    judge: simulator.name,
    promptVersion: simulator.promptVersion,
    parameters: { simulator: simulator.name, seed },
    judges: (explainer) => simulator.simulates(explainer),
    score: (tasks) => Promise.all(tasks.map((task) => scoreOne(task, simulator, bootstrap))),
  };
}

async function scoreOne(task: ScoreTask, simulator: Simulator, bootstrap: Bootstrap): Promise<ScoreAttempt> {
  // Only ids go to the simulator: it cannot look at the truth.
  const fragments = [...task.top, ...task.random];
  const simulated = await simulator.simulate({ description: task.description, detail: task.detail }, fragments.map((f) => f.ids));
  if ('failed' in simulated) return { kind: 'failed', index: task.index, reason: simulated.failed };
  const pair = (exemplar: Exemplar, i: number): SimulatedFragment => ({ truth: exemplar.activations, simulated: simulated[i] });
  const top = task.top.map((e, i) => pair(e, i));
  const random = task.random.map((e, i) => pair(e, task.top.length + i));
  const rests: Record<string, readonly Exemplar[]> = { 'simulation-top': task.top, 'simulation-random': task.random };
  const scores = simulationScores(top, random, bootstrap).map((score) => ({
    ...score,
    judge: simulator.name,
    promptVersion: simulator.promptVersion,
    fragments: (rests[score.scorer] ?? fragments).map(refOf),
  }));
  return { kind: 'scored', index: task.index, scores };
}

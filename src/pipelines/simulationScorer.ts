import type { Exemplar } from '../domain/feature.ts';
import { Bootstrap } from '../interp/bootstrap.ts';
import { calibratedScores } from '../interp/calibratedScores.ts';
import type { SimulatedFragment } from '../interp/correlation.ts';
import { simulationScores } from '../interp/simulationScores.ts';
import { refOf } from '../interp/split.ts';
import type { RequestSize } from '../ports/RequestSize.ts';
import type { ScoreAttempt, Scorer, ScoreTask } from '../ports/Scorer.ts';
import { forEachTask } from './forEachTask.ts';

/** What a simulator may know of a feature: how it is described, nothing of its activations. */
export type Described = Pick<ScoreTask, 'index' | 'description' | 'detail'>;

/** How a judge's readings of prompts went; grows with every fragment. */
export interface ReadingCounts {
  /** Tokens predicted. */
  readonly tokens: number;
  /** Of them 0 because the judge's tokenizer joined a line end and the token. */
  readonly folded: number;
  /** Of them 0 because no level was among the alternatives. */
  readonly unread: number;
}

/** Predicts activations from an explanation without seeing the true ones. */
export interface Simulator {
  /** Who predicts: `pattern-v1`, or the language model's name. */
  readonly name: string;
  /** First part of its scores' names. Predictions of different kinds are different instruments: their scores are never pooled. */
  readonly instrument: 'simulation' | 'simulation-json';
  /** Version of the prompt the predictions come from; null where there is none. */
  readonly promptVersion: string | null;
  /** What its predictions depend on besides the above, JSON, no secrets. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Where predictions are read inside prompts. */
  readonly counts?: ReadingCounts;
  simulates(explainer: string): boolean;
  /** Predictions for fragments of token ids, one array of equal length each; or the reason there are none. */
  simulate(task: Described, fragments: readonly (readonly number[])[]): Promise<readonly ArrayLike<number>[] | { readonly failed: string }>;
  /** What `simulate` would ask a language model, without asking; absent where it asks none. */
  plan?(task: Described, fragments: readonly (readonly number[])[]): readonly RequestSize[];
}

export interface SimulationScorerOptions {
  /** Also score by value, with and without calibration (src/interp/calibratedScores.ts): the calibration fragments are simulated too. */
  readonly calibrate?: boolean;
}

/** Bills et al. 2023: an explanation is worth how well the activations simulated from it correlate with the true ones. */
export function simulationScorer(simulator: Simulator, seed: number, { calibrate = false }: SimulationScorerOptions = {}): Scorer & Pick<Simulator, 'counts'> {
  const bootstrap = new Bootstrap(seed);
  const { plan, counts } = simulator;
  return {
    name: simulator.instrument,
    judge: simulator.name,
    promptVersion: simulator.promptVersion,
    parameters: { simulator: simulator.name, ...simulator.parameters, seed, ...(calibrate ? { calibrate } : {}) },
    judges: (explainer) => simulator.simulates(explainer),
    score: (tasks) => forEachTask(tasks, (task) => scoreOne(task, simulator, bootstrap, calibrate)),
    ...(counts === undefined ? {} : { counts }),
    ...(plan === undefined ? {} : { plan: (tasks: readonly ScoreTask[]) => tasks.flatMap((task) => plan(described(task), textOf(task, calibrate).map((f) => f.ids))) }),
  };
}

/** Fragments that are simulated, in order: top, random, calibration. */
function textOf({ top, random, calibration }: ScoreTask, calibrate: boolean): readonly Exemplar[] {
  return [...top, ...random, ...(calibrate ? calibration : [])];
}

function described({ index, description, detail }: ScoreTask): Described {
  return { index, description, detail };
}

async function scoreOne(task: ScoreTask, simulator: Simulator, bootstrap: Bootstrap, calibrate: boolean): Promise<ScoreAttempt> {
  const fragments = textOf(task, calibrate);
  // Only ids and the description go to the simulator: it cannot look at the truth.
  const simulated = await simulator.simulate(described(task), fragments.map((f) => f.ids));
  if ('failed' in simulated) return { kind: 'failed', index: task.index, reason: simulated.failed };
  const pairs = fragments.map((fragment, i): SimulatedFragment => ({ truth: fragment.activations, simulated: simulated[i] }));
  const scored = task.top.length + task.random.length;
  const top = pairs.slice(0, task.top.length);
  const random = pairs.slice(task.top.length, scored);
  const { instrument } = simulator;
  const measured = [...simulationScores(top, random, bootstrap, instrument), ...(calibrate ? calibratedScores(instrument, top, random, pairs.slice(scored), bootstrap) : [])];
  const rests: Record<string, readonly Exemplar[]> = { [`${instrument}-top`]: task.top, [`${instrument}-random`]: task.random };
  const both = [...task.top, ...task.random];
  const scores = measured.map((score) => ({
    ...score,
    judge: simulator.name,
    promptVersion: simulator.promptVersion,
    fragments: (rests[score.scorer] ?? both).map(refOf),
  }));
  return { kind: 'scored', index: task.index, scores };
}

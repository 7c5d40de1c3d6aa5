/** What the scores of an instrument mean, for those who read them side by side. */
export interface InstrumentFacts {
  /** In words. */
  readonly label: string;
  /** Score of a description that says nothing; what a feature without a score is counted as where it must count. */
  readonly chance: number;
}

const SIMULATION: Readonly<Record<string, string>> = {
  'simulation-top-random': 'correlation of simulated and true activations, top and random fragments',
  'simulation-random': 'correlation of simulated and true activations, random fragments only',
  'simulation-top': 'correlation of simulated and true activations, top fragments only',
};

/**
 * Balanced accuracy and area under the ROC curve are 0.5 for a judge that guesses, F1 is 2/3 for one that always says "active" (there are
 * as many active windows as others); everything else starts from 0.
 */
export function instrumentFacts(scorer: string): InstrumentFacts {
  return { label: SIMULATION[scorer] ?? scorer.replaceAll('-', ' '), chance: /(^|-)(balanced-accuracy|auc|auroc)$/.test(scorer) ? 0.5 : /(^|-)f1$/.test(scorer) ? 2 / 3 : 0 };
}

const FIRST = ['simulation-top-random', 'simulation-random', 'simulation-top'];

/** Place of an instrument among others, the paper's own first; equal for those without a place, which keep their order. */
export function instrumentPlace(scorer: string): number {
  const place = FIRST.indexOf(scorer);
  return place < 0 ? FIRST.length : place;
}

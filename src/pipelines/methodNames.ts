import { LLM_METHODS } from '../interp/prompts/methods.ts';

/** Ways to describe features, by the names people choose them by. */
export const METHODS = ['pattern', ...LLM_METHODS] as const;
export type MethodName = (typeof METHODS)[number];

/**
 * Ways to judge descriptions. `simulation` is the explainer's own: by the pattern itself for `pattern`, else by log-probabilities of
 * the judge; `simulation-logprobs` and `simulation-json` are by the judge whatever the explainer.
 */
export const SCORERS = ['simulation', 'simulation-logprobs', 'simulation-json', 'detection', 'fuzzing', 'embedding'] as const;
export type ScorerName = (typeof SCORERS)[number];

export function isMethod(name: string): name is MethodName {
  return (METHODS as readonly string[]).includes(name);
}

export function isScorer(name: string): name is ScorerName {
  return (SCORERS as readonly string[]).includes(name);
}

/** A choice by names. */
export interface MethodNames {
  readonly method: MethodName;
  /** Empty = those that fit the method. */
  readonly scorers: readonly ScorerName[];
}

/** The scorers chosen, else those that fit: its own simulation for `pattern`; detection and fuzzing, which any server can serve, for the others. */
export function scorersOf({ method, scorers }: MethodNames): readonly ScorerName[] {
  if (scorers.length > 0) return scorers;
  return method === 'pattern' ? ['simulation'] : ['detection', 'fuzzing'];
}

/** Which models a choice asks; a model that is not needed is not opened. */
export function modelsNeeded(choice: MethodNames): { readonly writer: boolean; readonly judge: boolean; readonly embeddings: boolean } {
  const names = scorersOf(choice);
  const byPattern = (name: ScorerName): boolean => choice.method === 'pattern' && name === 'simulation';
  return { writer: choice.method !== 'pattern', judge: names.some((name) => name !== 'embedding' && !byPattern(name)), embeddings: names.includes('embedding') };
}

import type { ExplainOutcome } from '../domain/feature.ts';
import { quantile } from './bootstrap.ts';

/** Scores of one instrument in the hands of one judge, over the features of one dictionary that were asked for. */
export interface InstrumentScores {
  readonly scorer: string;
  readonly judge: string;
  readonly promptVersion: string | null;
  /** One per feature asked for, in their order; null where it was skipped or its score is undefined. */
  readonly values: readonly (number | null)[];
  /** Explained features without a value, by reason. */
  readonly undefined: Readonly<Record<string, number>>;
}

/** Median lengths, in characters, over the features explained; null where there are none. */
export interface ExplanationSize {
  /** Of the sentence, which a language model judges. */
  readonly description: number | null;
  /** Of the machine-readable form that a pattern is judged by: a longer one can hold more by heart. */
  readonly detail: number | null;
}

/** What was asked of one dictionary and what came of it. */
export interface MethodScores {
  readonly layer: number;
  /** What the dictionary stands for in a comparison: `tied-r4`, `pca`, … */
  readonly method: string;
  readonly asked: number;
  readonly explained: number;
  /** Features without an explanation, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly size: ExplanationSize;
  /** In the order in which they first appear. */
  readonly instruments: readonly InstrumentScores[];
}

/** An explained feature that an instrument gave no score at all. */
export const NOT_SCORED = 'not scored';

/** Sorts outcomes by instrument and judge. No feature is dropped: each takes its place in every list of values. */
export function methodScores(layer: number, method: string, outcomes: readonly ExplainOutcome[]): MethodScores {
  const skipped: Record<string, number> = {};
  const found = new Map<string, { scorer: string; judge: string; promptVersion: string | null; values: (number | null)[]; undefined: Record<string, number>; seen: number }>();
  outcomes.forEach((outcome, place) => {
    if (outcome.kind === 'skipped') {
      skipped[outcome.reason] = (skipped[outcome.reason] ?? 0) + 1;
      return;
    }
    for (const { scorer, judge, promptVersion, value, undefinedReason } of outcome.explanation.scores) {
      const key = JSON.stringify([scorer, judge, promptVersion]);
      let instrument = found.get(key);
      if (instrument === undefined) {
        instrument = { scorer, judge, promptVersion, values: outcomes.map(() => null), undefined: {}, seen: 0 };
        found.set(key, instrument);
      }
      instrument.seen++;
      instrument.values[place] = value;
      if (value === null) instrument.undefined[undefinedReason ?? 'no reason given'] = (instrument.undefined[undefinedReason ?? 'no reason given'] ?? 0) + 1;
    }
  });
  const explanations = outcomes.flatMap((outcome) => (outcome.kind === 'explained' ? [outcome.explanation] : []));
  const explained = explanations.length;
  const size = { description: median(explanations.map(({ description }) => description.length)), detail: median(explanations.flatMap(({ detail }) => (detail === null ? [] : [JSON.stringify(detail).length]))) };
  const instruments = Array.from(found.values(), ({ seen, ...instrument }) => ({
    ...instrument,
    undefined: seen === explained ? instrument.undefined : { ...instrument.undefined, [NOT_SCORED]: explained - seen },
  }));
  return { layer, method, asked: outcomes.length, explained, skipped, size, instruments };
}

function median(values: readonly number[]): number | null {
  return values.length === 0 ? null : quantile(values.toSorted((a, b) => a - b), 0.5);
}

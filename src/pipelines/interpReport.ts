import type { ExplainOutcome } from '../domain/feature.ts';
import { compareMethods, type Basis, type InstrumentComparison } from '../interp/compareMethods.ts';
import { instrumentFacts } from '../interp/instruments.ts';
import { methodScores } from '../interp/methodScores.ts';
import { clearAnswer, controlAnswer, verdicts } from '../interp/verdicts.ts';
import type { InterpReportData, ReportedMember } from '../ports/InterpReport.ts';

/** One dictionary of the comparison with what was made of the features asked for. */
export interface ComparedDictionary extends Omit<ReportedMember, 'asked' | 'explained' | 'skipped'> {
  /** One per feature asked for. */
  readonly outcomes: readonly ExplainOutcome[];
}

export interface ComparisonInput extends Pick<InterpReportData, 'title' | 'methods' | 'reference' | 'facts' | 'notes'> {
  readonly dictionaries: readonly ComparedDictionary[];
  /** Methods that a dictionary ought to beat to say that it found more than the axes it was given. */
  readonly floors: readonly string[];
  /** Methods that are the reference's recipe on random weights. */
  readonly controls: readonly string[];
  /** Of the bootstraps. */
  readonly seed: number;
}

/** Everything a report of the comparison shows; every sentence is made from its numbers. */
export function interpReportData({ dictionaries, floors, controls, seed, ...given }: ComparisonInput): InterpReportData {
  const scores = dictionaries.map(({ layer, method, outcomes }) => methodScores(layer, method, outcomes));
  const members = dictionaries.map((dictionary, i): ReportedMember => {
    const { outcomes: _outcomes, ...member } = dictionary;
    return { ...member, asked: scores[i].asked, explained: scores[i].explained, skipped: scores[i].skipped };
  });
  const instruments = compareMethods(scores, given.reference, seed).map((comparison) => ({
    ...comparison,
    ...instrumentFacts(comparison.scorer),
    verdicts: sentences(comparison, given.reference, floors, controls),
  }));
  return { ...given, members, instruments };
}

function sentences(comparison: InstrumentComparison, reference: string, floors: readonly string[], controls: readonly string[]): string[] {
  const { chance } = instrumentFacts(comparison.scorer);
  const over: Record<Basis, string> = { scored: 'Over the features with a score', asked: `Over all features asked for, those without a score counted as ${chance}` };
  const lines: string[] = [];
  for (const basis of ['scored', 'asked'] as const) {
    const answers = [clearAnswer(comparison, reference, floors, basis), ...controls.map((control) => controlAnswer(comparison, reference, control, basis))].filter((answer) => answer !== null);
    if (answers.length > 0) lines.push(`${over[basis]}: ${answers.join(' ')}`);
  }
  return [...lines, ...verdicts(comparison, reference, 'scored')];
}

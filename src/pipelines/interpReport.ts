import type { ExplainOutcome } from '../domain/feature.ts';
import { compareMethods, type Basis, type InstrumentComparison } from '../interp/compareMethods.ts';
import { instrumentFacts } from '../interp/instruments.ts';
import { methodScores, type MethodScores } from '../interp/methodScores.ts';
import { clearAnswer, controlAnswer, verdicts } from '../interp/verdicts.ts';
import { SHORT_PATHS, SHORT_PATTERN_JUDGE } from './shortPatternSimulator.ts';
import type { InterpReportData, ReportedMember } from '../ports/InterpReport.ts';

/** One dictionary of the comparison with what was made of the features asked for. */
export interface ComparedDictionary extends Omit<ReportedMember, 'asked' | 'explained' | 'skipped' | 'size'> {
  /** One per feature asked for. */
  readonly outcomes: readonly ExplainOutcome[];
  /** Share of tokens that each of them is active on. */
  readonly densities: readonly number[];
}

/**
 * Directions that were not trained to be sparse are all active often, many trained features seldom; seldom ones are harder to describe, as
 * their strongest fragments in a text of some size are few. So the comparison is made once more among features active this often.
 */
export const LEAST_DENSITY = 0.01;

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
    const { outcomes: _outcomes, densities: _densities, ...member } = dictionary;
    return { ...member, asked: scores[i].asked, explained: scores[i].explained, skipped: scores[i].skipped, size: scores[i].size };
  });
  const compared = (some: readonly MethodScores[]): (InstrumentComparison & { readonly verdicts: readonly string[] })[] =>
    compareMethods(some, given.reference, seed).map((comparison) => ({ ...comparison, verdicts: sentences(comparison, given.reference, floors, controls) }));
  const often = compared(dictionaries.map(({ layer, method, outcomes, densities }) => methodScores(layer, method, outcomes.filter((_, i) => densities[i] >= LEAST_DENSITY))));
  const instruments = compared(scores).map((comparison) => {
    const found = often.find((one) => one.scorer === comparison.scorer && one.judge === comparison.judge && one.promptVersion === comparison.promptVersion);
    const frequent = found === undefined ? null : { leastDensity: LEAST_DENSITY, estimates: found.estimates, differences: found.differences, verdicts: found.verdicts };
    return { ...comparison, ...instrumentFacts(comparison.scorer), frequent };
  });
  return { ...given, notes: [...given.notes, ...sizeNotes(members, given.reference)], members, instruments };
}

/** A judge that reads patterns is not bound to a sentence: says how much more it was given for some methods than for others. */
function sizeNotes(members: readonly ReportedMember[], reference: string): string[] {
  const methods = [...new Set(members.map(({ method }) => method))];
  const sizes = methods.flatMap((method) => {
    const lengths = members.flatMap((member) => (member.method === method && member.size.detail !== null ? [member.size.detail] : []));
    return lengths.length === 0 ? [] : [{ method, length: Math.round(lengths.reduce((sum, length) => sum + length, 0) / lengths.length) }];
  });
  const own = sizes.find(({ method }) => method === reference);
  if (own === undefined || sizes.length < 2) return [];
  const others = sizes.filter(({ method }) => method !== reference).map(({ method, length }) => `${method} ${length} (${(length / own.length).toFixed(1)} times)`);
  return [`The pattern judge predicts from the whole machine-readable pattern, not from the sentence, and a longer pattern can hold more by heart. Median characters, mean over layers: ${reference} ${own.length}; ${others.join(', ')}. The judge ${SHORT_PATTERN_JUDGE} is the same with only the ${SHORT_PATHS} strongest ways to fire of each pattern, about what a sentence holds.`];
}

function sentences(comparison: InstrumentComparison, reference: string, floors: readonly string[], controls: readonly string[]): string[] {
  const { chance } = instrumentFacts(comparison.scorer);
  const over: Record<Basis, string> = { scored: 'Over the features with a score', asked: `Over all features asked for, those without a score counted as ${Number(chance.toFixed(3))}` };
  const lines = (['scored', 'asked'] as const).flatMap((basis) => {
    const answers = [clearAnswer(comparison, reference, floors, basis), ...controls.map((control) => controlAnswer(comparison, reference, control, basis))];
    return answers.flatMap((answer) => (answer === null ? [] : [`${over[basis]}: ${answer}`]));
  });
  return [...lines, ...verdicts(comparison, reference, 'scored')];
}

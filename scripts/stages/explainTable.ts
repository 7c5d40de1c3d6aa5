import type { ExplainSummary } from '../../src/interp/explainSummary.ts';
import type { PaperDeviation } from '../../src/interp/paperProtocol.ts';
import type { BudgetTotals } from '../../src/pipelines/ask/budget.ts';
import type { ReadingCounts } from '../../src/pipelines/simulationScorer.ts';
import { fixed, percent, table } from '../table.ts';
import type { ExplainedDictionary } from './explain.ts';

/** Scores of every dictionary with their coverage beside them, then who was skipped and why, what was asked, and what the protocol changed. */
export function explainTable(explained: readonly ExplainedDictionary[]): string {
  const rows = explained.flatMap(({ name, summary }) => scoreRows(name, summary));
  const scores = rows.length === 0 ? [] : [table(['dictionary', 'score', 'judge', 'mean of scored', '± 95 %', 'scored', 'of all', 'skipped as 0'], rows)];
  return [...scores, ...explained.flatMap(notes)].join('\n');
}

function scoreRows(name: string, { scores, features }: ExplainSummary): string[][] {
  return scores.map(({ scorer, judge, ofScored, coverage, skippedAsZero }) => [
    name, scorer, judge, fixed(ofScored.mean, 3), fixed(ofScored.halfWidth, 3), `${ofScored.n}/${features}`, percent(coverage), fixed(skippedAsZero.mean, 3),
  ]); // prettier-ignore
}

function notes({ name, summary, run }: ExplainedDictionary): string[] {
  const lines = [`${name}: ${summary.explained} of ${summary.features} features explained (${percent(summary.coverage)})`];
  for (const [reason, count] of Object.entries(summary.skipped)) lines.push(`  skipped ${count}: ${reason}`);
  for (const { scorer, judge, undefined: without } of summary.scores) {
    for (const [reason, count] of Object.entries(without)) lines.push(`  no ${scorer} by ${judge} for ${count}: ${reason}`);
  }
  const asked = run.metrics['asked'] as BudgetTotals | undefined;
  if (asked !== undefined) {
    const usd = asked.usd === null ? '' : `, $${asked.usd.toPrecision(3)}`;
    const lost = asked.lost === 0 ? '' : `, ${asked.lost} more whose answer was lost, counted at their upper bound`;
    lines.push(`  asked: ${asked.requests} requests paid for${lost}, ${asked.hits} answered from the cache; ${asked.promptTokens} prompt and ${asked.completionTokens} reply tokens${usd}`);
    for (const [reason, count] of Object.entries(run.metrics['badReplies'] as Readonly<Record<string, number>>)) lines.push(`  unusable replies ${count}: ${reason}`);
  }
  for (const { judge, tokens, unread, folded } of (run.metrics['readings'] as readonly (ReadingCounts & { judge: string })[] | undefined) ?? []) {
    if (unread + folded > 0) lines.push(`  simulation by ${judge}: ${unread + folded} of ${tokens} tokens could not be read and count as 0 (${folded} of them joined with a line end)`);
  }
  const paper = run.metrics['protocol'] as PaperDeviation | undefined;
  if (paper !== undefined) lines.push(`  ${deviationNote(paper)}`);
  return lines;
}

function deviationNote({ eligible, fragments, fragmentsChanged, featuresChanged, featuresShort }: PaperDeviation): string {
  if (fragmentsChanged === 0) return `protocol of the paper: its own fragments throughout (${fragments} scored on ${eligible} features); none overlaps text that was explained`;
  const short = featuresShort === 0 ? '' : `; ${featuresShort} features are scored on fewer than its fragments`;
  return `protocol of the paper with one difference: text that was explained is never scored, which replaced ${fragmentsChanged} of its ${fragments} scored fragments, on ${featuresChanged} of ${eligible} features${short}`;
}

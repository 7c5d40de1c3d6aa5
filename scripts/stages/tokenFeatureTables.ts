import type { ReportedDirection, ReportedEffectMean, ReportedPurity, ReportedTokenEffect, TokenFeatureData } from '../../src/ports/TokenFeatureReport.ts';
import { fixed, percent, table } from '../table.ts';

/** Rows of a table on the terminal; all are in the run's folder. */
const SHOWN = 8;

/** What a study of token features found, as tables for the terminal. */
export function tokenFeatureTables(data: TokenFeatureData): string {
  const { pattern, texts } = data;
  const show = (id: number | null): string => (id === null ? 'other' : JSON.stringify(texts[String(id)] ?? `#${id}`));
  const parts: string[] = [];
  if (pattern !== null) {
    const tokens = pattern.byToken.slice(0, SHOWN).map(({ id, count }) => `${show(id)} ${count}`);
    parts.push(`${pattern.label}: ${pattern.tokens} of ${data.tokensRead} tokens (${tokens.join(', ')}${pattern.byToken.length > SHOWN ? ', …' : ''}); the best of ${pattern.featuresSearched} features by ${pattern.rankedBy}:`);
    parts.push(
      table(
        ['feature', 'precision', 'recall', 'F1', 'best from', 'precision', 'recall', 'F1', 'mean on it', 'max'],
        pattern.ranking.slice(0, SHOWN).map(({ address, purity, best, meanOnPattern, maxActivation }) => [address, ...purityCells(purity), fixed(best?.threshold ?? null, 3), ...purityCells(best), fixed(meanOnPattern, 3), fixed(maxActivation, 3)]),
      ),
    );
  }
  for (const { address, place, feature, basis, contexts } of data.features) {
    parts.push(`${address}${place === null ? '' : `, place ${place} in the ranking`}, beside dimension ${basis.dimension} (${percent(basis.share)} of its squared encoder weights, rank ${basis.rank})`);
    parts.push(table(['', 'active', 'rule', 'matches', 'false pos.', 'false neg.', 'precision', 'recall', 'F1'], [feature, basis].flatMap(purityRows)));
    for (const direction of [feature, basis]) parts.push(...directionTables(direction, show));
    const strongest = contexts.filter(({ kind }) => kind === 'strongest').slice(0, 4).map(({ tokens }) => `  ${JSON.stringify(tokens.map(({ text, here }) => (here ? `«${text}»` : text)).join(''))}`);
    parts.push(`strongest:\n${strongest.join('\n')}`);
  }
  return parts.join('\n\n');
}

function purityCells(purity: ReportedPurity | null): string[] {
  return [fixed(purity?.precision ?? null, 3), fixed(purity?.recall ?? null, 3), fixed(purity?.f1 ?? null, 3)];
}

function purityRows({ label, active, purity, best }: ReportedDirection): string[][] {
  if (purity === null) return [[label, String(active), '–', '–', '–', '–', '–', '–', '–']];
  return [purity, best].flatMap((one) => (one === null ? [] : [[label, String(active), `${one.rule} ${one.threshold.toPrecision(4)}`, String(one.matches), String(one.falsePositives), String(one.falseNegatives), ...purityCells(one)]]));
}

function directionTables({ label, histogram, effects }: ReportedDirection, show: (id: number | null) => string): string[] {
  const { edges, parts } = histogram;
  const counts = table([`${label}: tokens by activation`, 'share', '0', ...edges.slice(1).map((edge) => `≤ ${edge.toPrecision(3)}`)], parts.map(({ id, share, zero, counts: bins }) => [show(id), percent(share), String(zero), ...bins.map(String)]));
  const rows = (list: readonly ReportedTokenEffect[], way: 'positive' | 'negative'): string[][] => list.slice(0, SHOWN).map((one) => [show(one.id), String(one.all.n), interval(one.all), String(one.active.n), interval(one.active), String(one[way]), fixed(one[`${way}Sum`], 2)]);
  const head = (what: string): string[] => [what, 'n', 'mean effect', 'n active', 'mean effect', 'beyond', 'their sum'];
  const { positions, activePositions, positive, negative, left } = effects;
  const said = `${label}, ablated in ${effects.rows} rows: mean effect ${interval(positions)} nats over ${positions.n} positions, ${interval(activePositions)} over the ${activePositions.n} where it is active; ${positive} beyond the threshold, ${negative} below minus it${left === null ? '' : `; largest activation left ${left.toPrecision(2)}`}`;
  return [counts, said, ...(effects.loses.length === 0 ? [] : [table(head('next tokens it helps'), rows(effects.loses, 'positive'))]), ...(effects.gains.length === 0 ? [] : [table(head('next tokens it hinders'), rows(effects.gains, 'negative'))])];
}

function interval({ mean, halfWidth }: ReportedEffectMean): string {
  return `${fixed(mean, 3)}${halfWidth === null ? '' : ` ± ${fixed(halfWidth, 3)}`}`;
}

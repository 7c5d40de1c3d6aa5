import type { InterpReportData, ReportedComparison, ReportedInstrument, ReportedMean, ReportedMember } from '../../ports/InterpReport.ts';

/** A table of plain texts, to be written as HTML or as Markdown. */
export interface TextTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns from here on hold numbers. */
  readonly numbersFrom: number;
}

/** Means of one instrument by layer and method, with both intervals and both bases. */
export function meansTable({ methods }: Pick<InterpReportData, 'methods'>, { estimates }: Pick<ReportedComparison, 'estimates'>): TextTable {
  const rank = (name: string): number => methods.findIndex((method) => method.name === name);
  const rows = estimates
    .toSorted((a, b) => (a.layer ?? Infinity) - (b.layer ?? Infinity) || rank(a.method) - rank(b.method))
    .map(({ layer, method, asked, explained, of }) => [layerName(layer), method, String(asked), String(explained), String(of.scored.n), ...meanCells(of.scored), ...meanCells(of.asked)]);
  return { head: ['layer', 'method', 'asked', 'explained', 'scored', 'mean of scored', 'bootstrap 95 %', 'mean of asked', 'bootstrap 95 %'], rows, numbersFrom: 2 };
}

/** The reference against every other method. */
export function differencesTable({ reference }: Pick<InterpReportData, 'reference'>, { differences }: Pick<ReportedComparison, 'differences'>): TextTable {
  const keys = new Map(differences.map(({ layer, other }) => [JSON.stringify([layer, other]), { layer, other }]));
  const rows = [...keys.values()].map(({ layer, other }) => {
    const cells = (['scored', 'asked'] as const).flatMap((basis) => {
      const found = differences.find((one) => one.layer === layer && one.other === other && one.basis === basis);
      return found === undefined ? ['–', '–', '–'] : [signed(found.value), interval(found.interval), found.apart ? 'no' : 'yes'];
    });
    return [`${reference} − ${other}`, layerName(layer), ...cells];
  });
  return { head: ['difference', 'layer', 'of scored', 'bootstrap 95 %', 'intervals overlap', 'of asked', 'bootstrap 95 %', 'intervals overlap'], rows, numbersFrom: 2 };
}

/** What took part, how far it came, and where its numbers are from. */
export function membersTable(members: readonly ReportedMember[]): TextTable {
  const rows = members.map(({ layer, method, dictionary, nFeatures, asked, explained, skipped, size, quality, weightsHash, runs }) => [
    String(layer), method, dictionary, `${explained} of ${asked} (${((100 * explained) / Math.max(1, asked)).toFixed(1)} %)`, reasons(skipped),
    Object.entries(runs).map(([stage, key]) => `${stage} ${key.slice(0, 16)}`).join(', '), weightsHash.slice(0, 16),
    size.description === null ? '–' : size.description.toFixed(0), size.detail === null ? '–' : size.detail.toFixed(0), String(nFeatures), quality === null ? '–' : quality.fvu.toFixed(3), quality === null ? '–' : quality.l0.toFixed(1), quality === null ? '–' : `${(100 * quality.aliveShare).toFixed(0)} %`,
  ]); // prettier-ignore
  return { head: ['layer', 'method', 'dictionary', 'explained', 'skipped', 'runs', 'weights', 'words', 'pattern', 'features', 'FVU', 'L0', 'alive'], rows, numbersFrom: 7 };
}

/** Explained features an instrument has no score for, by reason. */
export function undefinedLines({ scores }: ReportedInstrument): string[] {
  return scores.flatMap(({ layer, method, undefined: found }) => (Object.keys(found).length === 0 ? [] : [`layer ${layer}, ${method}: ${reasons(found)}`]));
}

/** Counts by reason, most frequent first; a dash for none. */
export function reasons(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  return sorted.length === 0 ? '–' : sorted.map(([reason, count]) => `${count} ${reason}`).join('; ');
}

function layerName(layer: number | null): string {
  return layer === null ? 'mean of layers' : String(layer);
}

function meanCells({ mean, halfWidth, bootstrap }: ReportedMean): [string, string] {
  if (mean === null) return ['–', '–'];
  return [`${plain(mean)}${halfWidth === null ? '' : ` ± ${halfWidth.toFixed(3)}`}`, bootstrap === null ? '–' : interval(bootstrap)];
}

const plain = (value: number): string => value.toFixed(3).replace('-', '−');
const signed = (value: number): string => (value < 0 ? plain(value) : `+${plain(value)}`);
const interval = ({ low, high }: { readonly low: number; readonly high: number }): string => `[${plain(low)}, ${plain(high)}]`;

/** Heading of the comparison among features that are active often. */
export function frequentHeading({ leastDensity }: { readonly leastDensity: number }): string {
  return `Only features active on at least ${Number((100 * leastDensity).toPrecision(3))} % of tokens`;
}

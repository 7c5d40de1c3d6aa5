import type { ReportedHistogram } from '../../ports/TokenFeatureReport.ts';
import { escape } from './escape.ts';
import { colourOf } from './marks.ts';
import { gridLines, verticalAxis, type VerticalAxis } from './verticalAxis.ts';

const [WIDTH, LEFT, RIGHT, TOP] = [520, 52, 18, 12];
const [COUNTS, GAP, SHARES, BOTTOM] = [210, 18, 90, 58];

/** Series of the named tokens in order, leaving out the grey one, which is all other tokens. */
const NAMED = [0, 1, 2, 3, 5, 6, 7];
const OTHER = 4;

/** The series of each token, null for all others. */
export type TokenColours = ReadonlyMap<number | null, number>;

/** Colours for the tokens of a histogram: those of another one beside it where it has the same tokens. */
export function tokenColours({ parts }: ReportedHistogram, beside?: TokenColours): TokenColours {
  const ids = parts.flatMap(({ id }) => (id === null ? [] : [id]));
  const found = new Map<number | null, number>([[null, OTHER]]);
  for (const id of ids) {
    const same = beside?.get(id);
    if (same !== undefined) found.set(id, same);
  }
  const free = NAMED.filter((series) => ![...found.values()].includes(series));
  for (const id of ids) if (!found.has(id)) found.set(id, free.shift() ?? OTHER);
  return found;
}

/** Names of a histogram's tokens with their colours and what share of all activation each has. */
export function tokenLegend({ parts }: ReportedHistogram, colours: TokenColours, show: (id: number | null) => string): string {
  const entries = parts.map(({ id, share }) => `<span><svg viewBox="-7 -7 14 14" aria-hidden="true"><path d="M-6 -6H6V6H-6Z" style="fill:${colourOf(colours.get(id) ?? OTHER)}"/></svg>${escape(show(id))} <span class="soft">${(100 * share).toFixed(0)} %</span></span>`);
  return `<div class="legend">${entries.join('')}</div>`;
}

/**
 * A histogram split by token: above, counts as stacked bars; below, each bar's make-up at full height, since the rare strong values
 * are what tells what a feature means. On a logarithmic scale a bar's height is log(1 + count) and is shared out in proportion.
 */
export function tokenHistogram({ edges, parts }: ReportedHistogram, colours: TokenColours, show: (id: number | null) => string, { label, unit, scale }: { readonly label: string; readonly unit: string; readonly scale: 'linear' | 'log' }): string {
  if (edges.length === 0) return `<p class="soft">${escape(label)}: none.</p>`;
  const bins = edges.length - 1;
  const totals = Array.from({ length: bins }, (_, bin) => parts.reduce((sum, { counts }) => sum + counts[bin], 0));
  const axis = scale === 'log' ? logAxis(totals) : linear(verticalAxis([0, ...totals], TOP, TOP + COUNTS, 5));
  const step = (WIDTH - LEFT - RIGHT) / bins;
  const sharesTop = TOP + COUNTS + GAP;
  const bars = totals.map((total, bin) => {
    const x = LEFT + bin * step + 1;
    const range = `${number(edges[bin])} to ${number(edges[bin + 1])}`;
    let below = 0;
    return parts.map(({ id, counts }) => {
      const count = counts[bin];
      if (count === 0) return '';
      const [from, to] = [below / total, (below + count) / total];
      below += count;
      const height = TOP + COUNTS - axis.place(total);
      const style = `fill:${colourOf(colours.get(id) ?? OTHER)}`;
      const rect = (bottom: number, tall: number): string => `<rect x="${x.toFixed(1)}" y="${(bottom - to * tall).toFixed(2)}" width="${(step - 2).toFixed(1)}" height="${((to - from) * tall).toFixed(2)}" style="${style}"/>`;
      return `<g><title>${escape(`${show(id)}: ${count} of ${total}, ${range}`)}</title>${rect(TOP + COUNTS, height)}${rect(sharesTop + SHARES, SHARES)}</g>`;
    }).join('');
  });
  const every = Math.ceil(bins / 10);
  const ticks = edges.map((edge, i) => (i % every === 0 ? `<text x="${(LEFT + i * step).toFixed(1)}" y="${sharesTop + SHARES + 16}" text-anchor="middle">${number(edge)}</text>` : ''));
  const shares = [0, 0.5, 1].map((share) => `<text x="${LEFT - 8}" y="${(sharesTop + SHARES * (1 - share) + 4).toFixed(1)}" text-anchor="end">${100 * share} %</text>`);
  const height = sharesTop + SHARES + BOTTOM - 20;
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(label)}">${axis.drawn}${shares.join('')}${bars.join('')}${ticks.join('')}<text class="label" x="${LEFT}" y="${height - 4}">${escape(`${unit} · above: tokens${scale === 'log' ? ' (log)' : ''}, below: share of each bar`)}</text></svg>`;
}

interface DrawnAxis {
  place(value: number): number;
  readonly drawn: string;
}

function linear(axis: VerticalAxis): DrawnAxis {
  return { place: axis.place, drawn: gridLines(axis, LEFT, WIDTH - RIGHT, 0) };
}

function logAxis(totals: readonly number[]): DrawnAxis {
  const most = Math.log10(1 + Math.max(...totals));
  const place = (value: number): number => TOP + COUNTS - (Math.log10(1 + value) / most) * COUNTS;
  const decades = [0, ...Array.from({ length: Math.floor(most) + 1 }, (_, i) => 10 ** i)].filter((value) => Math.log10(1 + value) <= most);
  const drawn = decades.map((value) => `<line class="${value === 0 ? 'zero' : 'grid'}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${place(value).toFixed(1)}" y2="${place(value).toFixed(1)}"/><text x="${LEFT - 8}" y="${(place(value) + 4).toFixed(1)}" text-anchor="end">${value}</text>`);
  return { place, drawn: drawn.join('') };
}

function number(value: number): string {
  return value === 0 ? '0' : value.toPrecision(value >= 100 ? 3 : 2);
}

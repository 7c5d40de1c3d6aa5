import type { InterpReportData, ReportedInstrument } from '../../ports/InterpReport.ts';
import { escape } from './escape.ts';
import { colourOf } from './marks.ts';
import { gridLines, verticalAxis } from './verticalAxis.ts';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [1000, 340, 52, 8, 12, 46];

/** Every feature's score as a dot, with the box of the middle half and the median, by layer and method. */
export function stripFigure({ methods }: Pick<InterpReportData, 'methods'>, instrument: ReportedInstrument): string {
  const { scores, chance, label } = instrument;
  const all = scores.flatMap(({ values }) => values.filter((value) => value !== null));
  if (all.length === 0) return '';
  const layers = [...new Set(scores.map(({ layer }) => layer))].sort((a, b) => a - b);
  const axis = verticalAxis([chance, Math.min(...all), Math.max(...all)], TOP, HEIGHT - BOTTOM);
  const width = (WIDTH - LEFT - RIGHT) / layers.length;
  const step = width / (methods.length + 0.6);
  const drawn = layers.map((layer, group) => {
    const from = LEFT + group * width;
    const strips = methods.map(({ name }, series) => {
      const values = scores.filter((one) => one.layer === layer && one.method === name).flatMap((one) => one.values.filter((value) => value !== null));
      return values.length === 0 ? '' : strip(values, from + (series + 0.8) * step, series, `${name}, layer ${layer}`);
    });
    const border = group === 0 ? '' : `<line class="grid" x1="${from.toFixed(1)}" x2="${from.toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`;
    return `${border}${strips.join('')}<text class="label" x="${(from + width / 2).toFixed(1)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">layer ${layer}</text>`;
  });
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(`Distribution of: ${label}`)}">${gridLines(axis, LEFT, WIDTH - RIGHT, chance)}${drawn.join('')}<text x="${LEFT}" y="${HEIGHT - 6}">a dot: one feature · box: middle half · line across: median</text></svg>`;

  function strip(values: readonly number[], x: number, series: number, title: string): string {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))];
    const half = Math.min(14, 0.36 * step);
    // Dots of neighbouring rank are spread evenly across the strip: no randomness, and equal scores do not hide each other.
    const dots = sorted.map((value, rank) => `M${(x + half * (2 * ((rank * 0.618034) % 1) - 1)).toFixed(1)} ${axis.place(value).toFixed(1)}h0`);
    const [low, middle, high] = [at(0.25), at(0.5), at(0.75)].map((value) => axis.place(value));
    const colour = colourOf(series);
    return `<g><title>${escape(`${title}: ${sorted.length} features, median ${at(0.5).toFixed(3)}, middle half ${at(0.25).toFixed(3)} to ${at(0.75).toFixed(3)}`)}</title><path d="${dots.join('')}" style="fill:none;stroke:${colour};stroke-width:3;stroke-linecap:round;opacity:.45"/><rect x="${(x - half).toFixed(1)}" y="${high.toFixed(1)}" width="${(2 * half).toFixed(1)}" height="${Math.max(1, low - high).toFixed(1)}" style="fill:none;stroke:${colour};stroke-width:1.5"/><path d="M${(x - half - 2).toFixed(1)} ${middle.toFixed(1)}h${(2 * half + 4).toFixed(1)}" style="stroke:var(--ink);stroke-width:2"/></g>`;
  }
}

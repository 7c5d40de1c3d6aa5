import type { InterpReportData, ReportedInstrument, ReportedMean } from '../../ports/InterpReport.ts';
import { escape } from './escape.ts';
import { colourOf, mark } from './marks.ts';
import { gridLines, verticalAxis } from './verticalAxis.ts';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [1000, 380, 52, 8, 14, 46];

/**
 * Means by layer and method as the paper's Fig. 2: a filled mark with its bar (1.96·sd/√n) over the features scored, and beside it
 * a hollow one over all features asked for. Hovering shows both intervals.
 */
export function meansFigure({ methods }: Pick<InterpReportData, 'methods'>, instrument: ReportedInstrument): string {
  const { estimates, chance } = instrument;
  const groups = [...new Set(estimates.map(({ layer }) => layer))].sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
  const ends = estimates.flatMap(({ of }) => [of.scored, of.asked].flatMap(({ mean, halfWidth }) => (mean === null ? [] : [mean - (halfWidth ?? 0), mean + (halfWidth ?? 0)])));
  if (ends.length === 0) return '<p>No feature has a defined score.</p>';
  const axis = verticalAxis([...ends, chance], TOP, HEIGHT - BOTTOM);
  const width = (WIDTH - LEFT - RIGHT) / groups.length;
  const drawn = groups.map((layer, group) => {
    const from = LEFT + group * width;
    const step = width / (methods.length + 1);
    const marks = methods.flatMap(({ name }, series) => {
      const found = estimates.find((one) => one.layer === layer && one.method === name);
      if (found === undefined) return [];
      const x = from + (series + 1) * step;
      const gap = Math.min(6, step / 4);
      return [point(found.of.scored, x - gap, series, false), point(found.of.asked, x + gap, series, true)].map((svg, i) => `<g><title>${escape(`${name}, ${nameOf(layer)}, ${i === 0 ? 'features scored' : 'all features asked for'}: ${words(i === 0 ? found.of.scored : found.of.asked)}`)}</title>${svg}</g>`);
    });
    const border = group === 0 ? '' : `<line class="grid" x1="${from.toFixed(1)}" x2="${from.toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`;
    return `${border}${marks.join('')}<text class="label" x="${(from + width / 2).toFixed(1)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${nameOf(layer)}</text>`;
  });
  const label = `${instrument.label}, by layer and method`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(label)}">${gridLines(axis, LEFT, WIDTH - RIGHT, chance)}${drawn.join('')}<text x="${LEFT}" y="${HEIGHT - 6}">filled: mean over features scored · hollow: over all asked for, those without a score counted as ${Number(chance.toFixed(3))} · bars: 95 %, 1.96·sd/√n</text></svg>`;

  function point({ mean, halfWidth }: ReportedMean, x: number, series: number, hollow: boolean): string {
    if (mean === null) return '';
    const bar = halfWidth === null ? '' : `<path d="M${x.toFixed(1)} ${axis.place(mean - halfWidth).toFixed(1)}V${axis.place(mean + halfWidth).toFixed(1)}" style="stroke:${colourOf(series)};stroke-width:${hollow ? 1 : 2}"/>`;
    return bar + mark(series, x, axis.place(mean), { hollow, scale: hollow ? 0.7 : 0.9 });
  }
}

function nameOf(layer: number | null): string {
  return layer === null ? 'mean of layers' : `layer ${layer}`;
}

function words({ n, mean, halfWidth, bootstrap }: ReportedMean): string {
  if (mean === null) return 'no score';
  return `${mean.toFixed(3)}${halfWidth === null ? '' : ` ± ${halfWidth.toFixed(3)}`}${bootstrap === null ? '' : `, bootstrap ${bootstrap.low.toFixed(3)} to ${bootstrap.high.toFixed(3)}`}, n ${n}`;
}

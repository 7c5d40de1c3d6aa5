import type { IoiCurve, IoiOrdering, IoiPoint } from '../../ports/IoiReport.ts';
import { escape } from './escape.ts';
import { colourOf, mark } from './marks.ts';
import { gridLines, verticalAxis } from './verticalAxis.ts';

const [WIDTH, ROW, LEFT, GAP, TOP, BOTTOM] = [1000, 250, 52, 56, 26, 40];
const PANEL = (WIDTH - LEFT - GAP - 8) / 2;

/** A scale from values to places on the horizontal axis, with its ticks. */
interface Scale {
  place(value: number): number;
  readonly ticks: readonly number[];
  readonly label: string;
}

/**
 * KL against the number of patched features (left; logarithmic, since most of the change comes early) and against the edit
 * magnitude (right), a row of panels for each layer, a line for each method.
 */
export function ioiFigure(methods: readonly string[], all: readonly IoiCurve[], ordering: IoiOrdering): string {
  const curves = all.filter((curve) => curve.ordering === ordering && curve.points.length > 0);
  const layers = [...new Set(curves.map(({ layer }) => layer))].sort((a, b) => a - b);
  if (layers.length === 0) return '';
  const rows = layers.map((layer, row) => {
    const here = curves.filter((curve) => curve.layer === layer);
    const [top, bottom] = [row * ROW + TOP, (row + 1) * ROW - BOTTOM];
    const axis = verticalAxis([0, ...here.flatMap(({ points }) => points.map(({ kl }) => kl))], top, bottom, 5);
    const right = LEFT + PANEL + GAP;
    const panels = [
      { from: LEFT, scale: logarithmic(Math.max(...here.map(({ active }) => active)), LEFT, LEFT + PANEL), of: ({ patched }: IoiPoint) => patched },
      { from: right, scale: linear(Math.max(...here.flatMap(({ points }) => points.map(({ magnitude }) => magnitude))), right, right + PANEL), of: ({ magnitude }: IoiPoint) => magnitude },
    ];
    const drawn = panels.map(({ from, scale, of }) => {
      const ticks = scale.ticks.map((tick) => `<line class="grid" x1="${scale.place(tick).toFixed(1)}" x2="${scale.place(tick).toFixed(1)}" y1="${top}" y2="${bottom}"/><text x="${scale.place(tick).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${tick}</text>`);
      const lines = here.map((curve) => line(curve, methods.indexOf(curve.method), scale, axis.place, of));
      return `${gridLines(axis, from, from + PANEL, 0)}${ticks.join('')}${lines.join('')}<text x="${(from + PANEL / 2).toFixed(1)}" y="${bottom + 32}" text-anchor="middle">${escape(scale.label)}</text>`;
    });
    return `<text class="label" x="${LEFT}" y="${top - 10}">layer ${layer}: KL(patched‖counterfactual), nats</text>${drawn.join('')}`;
  });
  return `<svg viewBox="0 0 ${WIDTH} ${layers.length * ROW}" role="img" aria-label="KL divergence against patched features and edit magnitude, by layer and dictionary, ${ordering} ordering">${rows.join('')}</svg>`;
}

function line({ method, layer, points }: IoiCurve, series: number, scale: Scale, height: (kl: number) => number, of: (point: IoiPoint) => number): string {
  const at = points.map((point) => [scale.place(of(point)), height(point.kl)] as const);
  const path = at.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  // Marks far enough from each other to be told apart, and at both ends.
  const marks: string[] = [];
  let last = -Infinity;
  for (const [i, [x, y]] of at.entries()) {
    if (x - last < 45 && i + 1 < at.length) continue;
    last = x;
    const { patched, kl, magnitude, tau } = points[i];
    marks.push(`<g><title>${escape(`${method}, layer ${layer}: ${patched} patched, KL ${kl.toPrecision(3)}, edit ${magnitude.toPrecision(3)}${tau === null ? '' : `, tau ${tau.toExponential(1)}`}`)}</title>${mark(series, x, y, { scale: 0.75 })}</g>`);
  }
  return `<path d="${path}" style="fill:none;stroke:${colourOf(series)};stroke-width:1.75"/>${marks.join('')}`;
}

/** 0, 1, 2, 4 … by log(1 + n). */
function logarithmic(most: number, left: number, right: number): Scale {
  const top = Math.log1p(Math.max(1, most));
  const ticks = [0];
  for (let tick = 1; tick <= most; tick *= 2) ticks.push(tick);
  return { place: (value) => left + (Math.log1p(value) / top) * (right - left), ticks, label: 'patched features (logarithmic)' };
}

function linear(most: number, left: number, right: number): Scale {
  const { low, high, ticks } = verticalAxis([0, most], 0, 1);
  return { place: (value) => left + ((value - low) / (high - low)) * (right - left), ticks, label: 'edit magnitude, mean ‖x′ − x‖ over positions' };
}

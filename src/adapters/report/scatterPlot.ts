import { escape } from './escape.ts';

export interface ScatterPoint {
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly colour: string;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [960, 360, 64, 44, 12];

/** Points on logarithmic axes as an SVG, each with its label as a tooltip. Points that are not above 0 are left out. */
export function scatterPlot(points: readonly ScatterPoint[], labels: { readonly x: string; readonly y: string }): string {
  const shown = points.filter(({ x, y }) => x > 0 && y > 0);
  if (shown.length === 0) return '';
  const scale = (values: readonly number[], from: number, to: number): ((value: number) => number) => {
    const [low, high] = [Math.log10(Math.min(...values)) - 0.05, Math.log10(Math.max(...values)) + 0.05];
    return (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  };
  const xs = shown.map(({ x }) => x);
  const ys = shown.map(({ y }) => y);
  const px = scale(xs, LEFT, WIDTH - 16);
  const py = scale(ys, HEIGHT - BOTTOM, TOP);
  const text = (x: number, y: number, content: string, anchor = 'middle'): string => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="12" fill="#555">${escape(content)}</text>`;
  const xTicks = ticks(xs).map((tick) => `<line x1="${px(tick)}" x2="${px(tick)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="#eee"/>${text(px(tick), HEIGHT - BOTTOM + 16, String(tick))}`);
  const yTicks = ticks(ys).map((tick) => `<line x1="${LEFT}" x2="${WIDTH - 16}" y1="${py(tick)}" y2="${py(tick)}" stroke="#eee"/>${text(LEFT - 6, py(tick) + 4, String(tick), 'end')}`);
  const dots = shown.map(({ label, x, y, colour }) => `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="5" fill="${colour}"><title>${escape(label)}: ${labels.x} ${x.toPrecision(3)}, ${labels.y} ${y.toPrecision(3)}</title></circle>`);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="100%" role="img" aria-label="${escape(labels.y)} against ${escape(labels.x)}">${xTicks.join('')}${yTicks.join('')}${dots.join('')}${text(WIDTH / 2, HEIGHT - 6, labels.x)}${text(14, TOP + 10, labels.y, 'start')}</svg>`;
}

/** 1, 2 and 5 times powers of ten within the values' range, or the extremes where there are none. */
function ticks(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of [1, 2, 5]) {
      const tick = Number((digit * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) found.push(tick);
    }
  }
  return found.length > 0 ? found : [...new Set([low, high])].map((value) => Number(value.toPrecision(3)));
}

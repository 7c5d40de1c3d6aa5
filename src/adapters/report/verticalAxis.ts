/** A linear scale from values to heights in a drawing, with round ticks. */
export interface VerticalAxis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  place(value: number): number;
}

/** Covers all values, and widens to the ticks around them. `top` and `bottom`: heights of the ends in the drawing, top < bottom. */
export function verticalAxis(values: readonly number[], top: number, bottom: number, wanted = 6): VerticalAxis {
  const finite = values.filter(Number.isFinite);
  const [least, most] = finite.length === 0 ? [0, 1] : [Math.min(...finite), Math.max(...finite)];
  const span = most - least || Math.abs(most) || 1;
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(most / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  const [low, high] = [ticks[0], ticks.at(-1)!];
  return { low, high, ticks, place: (value) => bottom - ((value - low) / (high - low)) * (bottom - top) };
}

/** Grid lines with numbers at the left; the line of `zero` is stronger. */
export function gridLines(axis: VerticalAxis, left: number, right: number, zero: number): string {
  const digits = Math.max(0, ...axis.ticks.map((tick) => (String(tick).split('.')[1] ?? '').length));
  const at = (value: number, kind: string): string => `<line class="${kind}" x1="${left}" x2="${right}" y1="${axis.place(value).toFixed(1)}" y2="${axis.place(value).toFixed(1)}"/>`;
  const ticks = axis.ticks.map((tick) => `${at(tick, 'grid')}<text x="${left - 8}" y="${(axis.place(tick) + 4).toFixed(1)}" text-anchor="end">${tick.toFixed(digits).replace('-', '−')}</text>`);
  return ticks.join('') + (zero >= axis.low && zero <= axis.high ? at(zero, 'zero') : '');
}

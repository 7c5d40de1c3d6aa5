import { escape } from './escape.ts';
import { SERIES } from './pageStyle.ts';

/** Outlines about (0, 0), 10 wide: a series is told by its shape as well as by its colour. */
const SHAPES = [
  'M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z',
  'M-4.5 -4.5H4.5V4.5H-4.5Z',
  'M0 -5.5L5.5 4.5H-5.5Z',
  'M0 -6L6 0L0 6L-6 0Z',
  'M0 5.5L5.5 -4.5H-5.5Z',
  'M-5 -2L-2 -2L-2 -5H2V-2H5V2H2V5H-2V2H-5Z',
];

export const colourOf = (series: number): string => `var(--s${series % SERIES})`;

/** The mark of a series, filled or hollow. */
export function mark(series: number, x: number, y: number, { hollow = false, scale = 1 } = {}): string {
  const fill = hollow ? 'var(--ground)' : colourOf(series);
  return `<path d="${SHAPES[series % SHAPES.length]}" transform="translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${scale})" style="fill:${fill};stroke:${colourOf(series)};stroke-width:1.5"/>`;
}

/** Names of series with their marks. */
export function legend(names: readonly string[]): string {
  const entries = names.map((name, series) => `<span><svg viewBox="-7 -7 14 14" aria-hidden="true">${mark(series, 0, 0)}</svg>${escape(name)}</span>`);
  return `<div class="legend">${entries.join('')}</div>`;
}

import type { ReportedEffects, ReportedTokenEffect } from '../../ports/TokenFeatureReport.ts';
import { escape } from './escape.ts';
import { colourOf } from './marks.ts';

const [WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM] = [520, 120, 14, 8, 22, 40];
const SHOWN = 10;
const [HELPS, HINDERS] = [0, 5];

type Shown = Pick<ReportedEffects, 'loses' | 'gains'>;

/** Ends of the scale that figures side by side share. */
export interface EffectRange {
  readonly low: number;
  readonly high: number;
}

/** Intervals over fewer positions do not widen the scale, which they would fill. */
const WIDENS = 5;

export function effectRange(shown: readonly Shown[]): EffectRange {
  const ends = shown.flatMap((effects) =>
    rowsOf(effects).flatMap(({ one: { all } }) => {
      const [mean, half] = [all.mean ?? 0, all.n < WIDENS ? 0 : (all.halfWidth ?? 0)];
      return [mean - half, mean + half];
    }),
  );
  return { low: Math.min(0, ...ends), high: Math.max(0, ...ends) };
}

function rowsOf({ loses, gains }: Shown): { one: ReportedTokenEffect; series: number }[] {
  const hinders = gains.filter(({ id }) => !loses.some((other) => other.id === id));
  return [...loses.slice(0, SHOWN).map((one) => ({ one, series: HELPS })), ...hinders.slice(0, SHOWN).map((one) => ({ one, series: HINDERS }))];
}

/**
 * Mean effect of an ablation on the log-probability of each next token, with its 95 % interval where there are two or more
 * positions, cut at the frame: those it helps most, then those it hinders most. A hollow mark: a single position.
 */
export function tokenEffects(effects: Shown, { low, high }: EffectRange, show: (id: number) => string, label: string): string {
  const rows = rowsOf(effects);
  if (rows.length === 0) return '<p class="soft">No effect lies beyond the threshold.</p>';
  const span = high - low || 1;
  const place = (value: number): number => LEFT + ((value - low) / span) * (WIDTH - LEFT - RIGHT);
  const height = TOP + rows.length * ROW + BOTTOM;
  const drawn = rows.map(({ one, series }, i) => row(one, series, TOP + (i + 0.5) * ROW));
  const ticks = ticksOf(low, high).map((tick) => `<line class="${tick === 0 ? 'zero' : 'grid'}" x1="${place(tick).toFixed(1)}" x2="${place(tick).toFixed(1)}" y1="${TOP}" y2="${height - BOTTOM}"/><text x="${place(tick).toFixed(1)}" y="${height - BOTTOM + 15}" text-anchor="middle">${String(tick).replace('-', '−')}</text>`);
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(label)}">${ticks.join('')}${drawn.join('')}<text class="label" x="8" y="${height - 5}">mean effect on the next token, nats · bars: 95 %, cut at the frame · hollow: one position</text></svg>`;

  function row({ id, all, active, positive, negative }: ReportedTokenEffect, series: number, y: number): string {
    const mean = all.mean ?? 0;
    const half = all.halfWidth;
    const bar = half === null ? '' : `<path d="M${place(Math.max(low, mean - half)).toFixed(1)} ${y.toFixed(1)}H${place(Math.min(high, mean + half)).toFixed(1)}" style="stroke:${colourOf(series)};stroke-width:2"/>`;
    const title = `${show(id)}: ${mean.toFixed(3)}${half === null ? '' : ` ± ${half.toFixed(3)}`} over ${all.n} positions; active at ${active.n}${active.mean === null ? '' : `, there ${active.mean.toFixed(3)}`}; ${positive} above the threshold, ${negative} below minus it`;
    return `<g><title>${escape(title)}</title><text class="label" x="${LEFT - 8}" y="${(y + 4).toFixed(1)}" text-anchor="end">${escape(show(id))}</text>${bar}<circle cx="${place(mean).toFixed(1)}" cy="${y.toFixed(1)}" r="4" style="fill:${half === null ? 'var(--ground)' : colourOf(series)};stroke:${colourOf(series)};stroke-width:1.5"/></g>`;
  }
}

/** Round numbers from low to high, 0 among them. */
function ticksOf(low: number, high: number): number[] {
  const rough = (high - low || 1) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

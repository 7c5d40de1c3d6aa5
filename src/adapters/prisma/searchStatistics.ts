import type { ClientBase } from 'pg';
import { END, roundedEnd } from './searchKeys.ts';
import { Conditions } from './searchWindow.ts';
import type { Sought } from './searchWindow.ts';

/** How long what the server knew of the distribution of places is believed; it changes only with ANALYZE. */
const BELIEVED_MS = 60_000;

/**
 * What the server's own statistics say of a search, so that nothing has to be counted or kept in step: they follow every load by
 * themselves (ANALYZE after a load, and autovacuum). They only decide how much is read at once, never what is found.
 */
export class SearchStatistics {
  #bounds: { readonly until: number; readonly places: readonly number[] } | undefined;

  /** Rows the planner expects, of the score regardless. */
  async matches(client: ClientBase, { filter, ...sought }: Sought): Promise<number> {
    const where = new Conditions({ ...sought, filter: { ...filter, minScore: null } });
    type Plan = readonly [{ readonly Plan: { readonly 'Plan Rows': number } }];
    const { rows } = await client.query<{ 'QUERY PLAN': Plan }>({ text: `EXPLAIN (FORMAT JSON) SELECT 1 FROM explanation e WHERE ${where}`, values: where.values });
    return rows[0]!['QUERY PLAN'][0].Plan['Plan Rows'];
  }

  /** The place before which about `share` more of all explanations lie than before `from`; rounded up to where a window may end. */
  async after(client: ClientBase, from: number, share: number): Promise<number> {
    const places = await this.#places(client);
    return roundedEnd(from, quantile(places, shareBefore(places, from) + share));
  }

  async #places(client: ClientBase): Promise<readonly number[]> {
    const now = performance.now();
    if (this.#bounds === undefined || this.#bounds.until < now) {
      const { rows } = await client.query<{ bounds: string[] | null }>({
        name: 'search-places',
        text: `SELECT histogram_bounds::text::text[] AS bounds FROM pg_stats WHERE schemaname = current_schema() AND tablename = 'explanation' AND attname = 'place'`,
      });
      this.#bounds = { until: now + BELIEVED_MS, places: [0, ...(rows[0]?.bounds ?? []).slice(1, -1).map(Number), END] };
    }
    return this.#bounds.places;
  }
}

/** Share of a distribution below `value`, between bounds of equal shares, ascending. */
export function shareBefore(bounds: readonly number[], value: number): number {
  const last = bounds.length - 1;
  let i = 0;
  while (i < last - 1 && bounds[i + 1]! <= value) i++;
  return (i + Math.min(1, (value - bounds[i]!) / (bounds[i + 1]! - bounds[i]!))) / last;
}

/** The value below which `share` of the distribution lies; the last bound from 1 on. */
export function quantile(bounds: readonly number[], share: number): number {
  const last = bounds.length - 1;
  const at = Math.min(last, Math.max(0, share * last));
  const i = Math.min(last - 1, Math.floor(at));
  return bounds[i]! + (at - i) * (bounds[i + 1]! - bounds[i]!);
}

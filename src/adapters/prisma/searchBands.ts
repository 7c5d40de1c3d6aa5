import type { ClientBase } from 'pg';
import type { SearchCount, SearchHit, SearchOrder, SearchPosition } from '../../ports/FeatureSearch.ts';
import { END, WHOLE, isPlace, isSmallest } from './searchKeys.ts';
import type { Window } from './searchKeys.ts';
import type { SearchStatistics } from './searchStatistics.ts';
import { rankWindow } from './searchWindow.ts';
import type { HitKey, RankedHit, Sought } from './searchWindow.ts';

/** Up to about so many matches are all ranked, ... */
const RANK_ALL = 500;
/** ... and when they turn out to be more than this, or a band's to be, less is read at once. */
const CAP = 2000;
/** Matches that a band aims at: two pages of hits, but no fewer than this, and few enough to rank in a few milliseconds. */
const BAND = 50;
/** A filter that leaves less than this share of the matches is looked up; a wider one is checked row by row. */
const NARROW = 0.15;
/** How much a band that was far off changes the next one's width. */
const STEP = 8;

export interface Place {
  readonly window: Window;
  readonly hit: HitKey;
}

export interface FoundPage {
  readonly hits: readonly (RankedHit & { readonly window: Window })[];
  readonly hasNext: boolean;
  readonly order: SearchOrder;
  readonly total: SearchCount | null;
}

interface Expected {
  readonly sought: Sought;
  readonly matches: number;
}

/**
 * A page in bounded work. Matches are ranked in windows of places, each whole; windows follow one another without gap or
 * overlap, and a hit's position names its window: nothing comes twice and nothing is lost, however wide they are. One window holds
 * everything while the matches are few.
 */
export async function findPage(client: ClientBase, statistics: SearchStatistics, asked: Omit<Sought, 'narrow'>, first: number, after: Place | null): Promise<FoundPage> {
  const hits: (RankedHit & { window: Window })[] = [];
  const add = (found: readonly RankedHit[], window: Window): void => void hits.push(...found.map((hit) => ({ ...hit, window })));
  const page = (order: SearchOrder, total: SearchCount | null): FoundPage => ({ hits: hits.slice(0, first), hasNext: hits.length > first, order, total });
  const { sought, matches } = await expect(client, statistics, asked);
  let expected = matches;
  const whole = after === null ? matches <= RANK_ALL : after.window.from === 0 && after.window.to === END;
  if (after !== null || whole) {
    const window = after?.window ?? WHOLE;
    const ranked = await rankWindow(client, sought, window, first + 1, after?.hit ?? null, after === null ? CAP : null);
    add(ranked.hits, window);
    if (whole && (after !== null || ranked.matches <= CAP)) return page('relevance', { value: ranked.matches, exact: true });
    if (after === null) expected = 4 * CAP;
  }
  const { minScore } = asked.filter;
  const end = minScore === null || minScore <= 0 ? END : Math.max(0, 1001 - Math.floor(1000 * minScore)) * 2 ** 32;
  let from = after?.window.to ?? 0;
  const band = Math.max(BAND, 2 * first);
  let share = band / Math.max(1, expected);
  while (hits.length <= first && from < end) {
    const to = Math.min(end, await statistics.after(client, from, share));
    const cap = isSmallest({ from, to }) ? null : CAP;
    const ranked = await rankWindow(client, sought, { from, to }, first + 1 - hits.length, null, cap);
    if (cap !== null && ranked.matches > cap) {
      share /= STEP;
      continue;
    }
    add(ranked.hits, { from, to });
    from = to;
    if (ranked.matches < band / 4) share *= STEP;
    else if (ranked.matches > band * 4) share /= 2;
  }
  return page('bands', minScore === null ? { value: expected, exact: false } : null);
}

/** How many match, and whether the filter is worth the index. */
export async function expect(client: ClientBase, statistics: SearchStatistics, asked: Omit<Sought, 'narrow'>): Promise<Expected> {
  const { dictionaryIds, explainers, minScore } = asked.filter;
  if (dictionaryIds === null && explainers === null) {
    const sought = { ...asked, narrow: false };
    return { sought, matches: await statistics.matches(client, sought) };
  }
  const narrow = { ...asked, narrow: true };
  const all = await statistics.matches(client, { ...narrow, filter: { dictionaryIds: null, explainers: null, minScore } });
  const matches = await statistics.matches(client, narrow);
  return { sought: { ...asked, narrow: matches < NARROW * all }, matches };
}

/** The place of a hit, for the next page; and back, null when it is none. */
export function positionOf(mode: string, { window, relevance, dictionaryId, index, explainer }: HitKey & { readonly window: Window }): SearchPosition {
  return [mode, window.from, window.to, relevance, dictionaryId, index, explainer];
}

export function placeOf(position: SearchPosition): { readonly mode: string; readonly place: Place } | null {
  const [mode, from, to, relevance, dictionaryId, index, explainer] = position;
  const whole = (value: unknown, below: number): value is number => Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < below;
  if (typeof mode !== 'string' || typeof from !== 'number' || typeof to !== 'number' || !isPlace(from) || !isPlace(to) || from >= to) return null;
  if (typeof relevance !== 'number' || !whole(dictionaryId, 2 ** 31) || !whole(index, 2 ** 31) || typeof explainer !== 'string') return null;
  return { mode, place: { window: { from, to }, hit: { relevance, dictionaryId, index, explainer } satisfies Pick<SearchHit, keyof HitKey> } };
}

import type { ClientBase } from 'pg';
import type { SearchFacets } from '../../ports/FeatureSearch.ts';
import { expect } from './searchBands.ts';
import type { SearchStatistics } from './searchStatistics.ts';
import { Conditions } from './searchWindow.ts';
import type { Sought } from './searchWindow.ts';

/** Up to so many matches are counted one by one; of more, a sample of about SAMPLE. */
const COUNTED = 4000;
const SAMPLE = 500;
const PARTS = 1024;
const MOST = { dictionaries: 1000, explainers: 100 };

type Group = readonly [dictionaryId: number, explainer: string, count: number];

/** Counts by dictionary and explainer in bounded work: exact while the matches are few, otherwise from a fixed pseudo-random sample. */
export async function countFacets(client: ClientBase, statistics: SearchStatistics, asked: Omit<Sought, 'narrow'>): Promise<SearchFacets> {
  const { sought, matches } = await expect(client, statistics, asked);
  let expected = matches;
  if (expected <= COUNTED) {
    const groups = await count(client, new Conditions(sought));
    if (groups !== null) return facetsOf(groups, 1);
    expected = 2 * COUNTED;
  }
  for (let parts = Math.ceil((PARTS * SAMPLE) / expected); ; parts = Math.ceil(parts / 8)) {
    const groups = await count(client, new Conditions(sought).sample(parts), parts > 1);
    if (groups !== null) return facetsOf(groups, PARTS / parts);
  }
}

/** Null when there are too many. */
async function count(client: ClientBase, where: Conditions, bounded = true): Promise<readonly Group[] | null> {
  const limit = bounded ? `LIMIT ${where.value(COUNTED + 1, 'int')}` : '';
  const { rows } = await client.query<[number, string, number]>({
    text: `SELECT m.dictionary_id, m.explainer, count(*)::int FROM (SELECT e.dictionary_id, e.explainer FROM explanation e WHERE ${where} ${limit}) m GROUP BY 1, 2`,
    values: where.values,
    rowMode: 'array',
  });
  return bounded && rows.reduce((sum, [, , n]) => sum + n, 0) > COUNTED ? null : rows;
}

function facetsOf(groups: readonly Group[], scale: number): SearchFacets {
  const dictionaries = new Map<number, number>();
  const explainers = new Map<string, number>();
  for (const [dictionaryId, explainer, n] of groups) {
    dictionaries.set(dictionaryId, (dictionaries.get(dictionaryId) ?? 0) + n);
    explainers.set(explainer, (explainers.get(explainer) ?? 0) + n);
  }
  return {
    dictionaries: ordered(dictionaries, scale, MOST.dictionaries).map(([dictionaryId, n]) => ({ dictionaryId, count: n })),
    explainers: ordered(explainers, scale, MOST.explainers).map(([explainer, n]) => ({ explainer, count: n })),
    exact: scale === 1,
    engine: 'postgres',
  };
}

function ordered<K extends number | string>(counts: ReadonlyMap<K, number>, scale: number, most: number): [K, number][] {
  return [...counts]
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .slice(0, most)
    .map(([key, n]) => [key, Math.round(n * scale)]);
}

import type { Pool } from 'pg';
import { PostgresSearch } from '../../src/adapters/prisma/PostgresSearch.ts';
import { Rng } from '../../src/math/rng.ts';
import type { SearchPage, SearchRequest } from '../../src/ports/FeatureSearch.ts';
import { table } from '../table.ts';
import type { SearchData } from './searchData.ts';

const ASKED: SearchRequest = { query: '', prefix: false, dictionaryIds: null, explainers: null, minScore: null, first: 20, after: null };

/** Words of the vocabulary by rank: the share that holds one falls as about 1.3 / (rank + 8). */
const RANKS = { common: [0, 20], middling: [20, 400], rare: [2000, 40_000] } as const;

type Ask = Partial<SearchRequest>;

function kinds({ vocabulary, samples, dictionaryIds }: SearchData, rng: Rng): Readonly<Record<string, () => Ask>> {
  const word = (kind: keyof typeof RANKS): string => vocabulary[RANKS[kind][0] + rng.int(RANKS[kind][1] - RANKS[kind][0])]!;
  const phrase = (): string => {
    const words = rng.pick(samples).split(' ');
    const at = rng.int(words.length - 1);
    return `"${words[at]!} ${words[at + 1]!}"`;
  };
  const misspelt = (): string => {
    const right = word('middling');
    const at = 1 + rng.int(Math.max(1, right.length - 2));
    return right.slice(0, at) + right.slice(at + 1);
  };
  return {
    'rare word': () => ({ query: word('rare') }),
    'middling word': () => ({ query: word('middling') }),
    'common word': () => ({ query: word('common') }),
    'two common words': () => ({ query: `${word('common')} ${word('common')}` }),
    'common and rare': () => ({ query: `${word('common')} ${word('rare')}` }),
    'either of two': () => ({ query: `${word('common')} or ${word('middling')}` }),
    'common, one excluded': () => ({ query: `${word('common')} -${word('middling')}` }),
    phrase: () => ({ query: phrase() }),
    'beginning, 1 to 4 letters': () => ({ query: word(rng.int(2) === 0 ? 'middling' : 'rare').slice(0, 1 + rng.int(4)), prefix: true }),
    'word and beginning': () => ({ query: `${word('middling')} ${word('middling').slice(0, 3)}`, prefix: true }),
    misspelt: () => ({ query: misspelt() }),
    'misspelt and common': () => ({ query: `${misspelt()} ${word('common')}` }),
    'common, one dictionary': () => ({ query: word('common'), dictionaryIds: [rng.pick(dictionaryIds)] }),
    'common, one layer': () => ({ query: word('common'), dictionaryIds: layer(dictionaryIds, rng.int(12)) }),
    'middling, one layer': () => ({ query: word('middling'), dictionaryIds: layer(dictionaryIds, rng.int(12)) }),
    'common, one explainer': () => ({ query: word('common'), explainers: ['llm-v1'] }),
    'common, score at least 0.6': () => ({ query: word('common'), minScore: 0.6 }),
    'middling, score at least 0.9': () => ({ query: word('middling'), minScore: 0.9 }),
    'words of nothing': () => ({ query: `${word('rare')} ${word('rare')} ${word('rare')}` }),
  };
}

const layer = (ids: readonly number[], n: number): number[] => ids.filter((id) => id % 12 === n);

interface Measured {
  readonly milliseconds: number[];
  readonly pages: number[];
}

async function measure(work: () => Promise<unknown>, touched: () => Promise<number>, into: Measured): Promise<void> {
  const before = await touched();
  const from = performance.now();
  await work();
  into.milliseconds.push(performance.now() - from);
  into.pages.push((await touched()) - before);
}

function rowOf(kind: string, { milliseconds, pages }: Measured): string[] {
  const at = (list: readonly number[], share: number): number => list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(share * list.length))]!;
  return [kind, ...[0.5, 0.95, 0.99].map((share) => at(milliseconds, share).toFixed(1)), String(at(pages, 0.5)), String(at(pages, 0.95))];
}

/** Statistics of the one connection, which it hands in when asked. */
async function pagesTouched(pool: Pool): Promise<number> {
  await pool.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await pool.query<{ n: number }>(`SELECT (heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::float8 AS n FROM pg_statio_user_tables WHERE relname = 'explanation'`);
  return rows[0]!.n;
}

/** Asks `rounds` queries of each kind over the pool's one connection, and prints what they took. */
export async function askEverything(pool: Pool, data: SearchData, rounds: number): Promise<void> {
  const search = new PostgresSearch(pool);
  const rows: string[][] = [];
  const touched = (): Promise<number> => pagesTouched(pool);
  const all: Measured = { milliseconds: [], pages: [] };
  const asks = Object.entries(kinds(data, new Rng(2)));
  for (const [kind, next] of asks) {
    const measured: Measured = { milliseconds: [], pages: [] };
    for (let i = 0; i < rounds; i++) await measure(() => search.search({ ...ASKED, ...next() }), touched, measured);
    rows.push(rowOf(kind, measured));
    all.milliseconds.push(...measured.milliseconds);
    all.pages.push(...measured.pages);
  }
  const deep: Measured = { milliseconds: [], pages: [] };
  for (const query of ['the', 'token', 'closing text', data.vocabulary[60]!]) {
    let after: SearchRequest['after'] = null;
    for (let page = 0; page < 60; page++) {
      let found: SearchPage | undefined;
      const work = async (): Promise<void> => void (found = await search.search({ ...ASKED, query, after }));
      await measure(work, touched, page < 50 ? { milliseconds: [], pages: [] } : deep);
      if (!found!.hasNext) break;
      after = { engine: found!.engine, position: found!.hits.at(-1)!.position };
    }
  }
  if (deep.pages.length > 0) rows.push(rowOf('deep', deep));
  rows.push(rowOf('all of the above but deep', all));
  const facets: Measured = { milliseconds: [], pages: [] };
  for (const [, next] of asks) for (let i = 0; i < rounds / 10; i++) {
    const filter = { ...ASKED, ...next() };
    await measure(() => search.facets(filter, { matched: filter.prefix === true ? 'prefix' : 'words', engine: 'postgres' }), touched, facets);
  }
  rows.push(rowOf('facets, over all kinds', facets));
  console.log(table(['kind', 'ms p50', 'p95', 'p99', 'pages p50', 'p95'], rows));
}


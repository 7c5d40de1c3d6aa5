import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edgePage, edgeWindow, type EdgePage, type EdgeWindow } from '../../src/catalog/edges.ts';
import { pageOfList, type ListKey } from '../../src/catalog/page.ts';
import type { EdgeRow } from '../../src/ports/CatalogReader.ts';

const list: ListKey<{ a: number; b: string }> = { scope: 'l', shape: ['index', 'string'], key: (row) => [row.a, row.b] };
const rows = [0, 1, 2].flatMap((a) => ['x', 'y', 'z'].map((b) => ({ a, b })));

test('pages of every size join to the whole list, each row once', () => {
  for (let first = 1; first <= 10; first++) {
    const seen: unknown[] = [];
    let after: string | null = null;
    for (;;) {
      const page: ReturnType<typeof pageOfList<(typeof rows)[number]>> = pageOfList(rows, list, { first, after });
      assert.equal(page.hasPrevious, after !== null);
      seen.push(...page.edges.map((edge) => edge.node));
      if (!page.hasNext) break;
      after = page.edges.at(-1)!.cursor;
    }
    assert.deepEqual(seen, rows);
  }
});

test('a cursor whose row is gone continues after its place', () => {
  const after = pageOfList(rows, list, { first: 4 }).edges.at(-1)!.cursor;
  const without = rows.filter((row) => !(row.a === 1 && row.b === 'x'));
  assert.deepEqual(pageOfList(without, list, { first: 1, after }).edges[0]!.node, { a: 1, b: 'y' });
});

test('page sizes outside 1 to 100 are refused', () => {
  for (const first of [0, -1, 101, 1.5, Number.NaN]) assert.throws(() => pageOfList(rows, list, { first }), { code: 'LIMIT_EXCEEDED' });
});

test('edges page by rank, and end at the strongest 1000', () => {
  const edge = (i: number): EdgeRow => ({
    source: { dictionaryId: 1, index: i },
    target: { dictionaryId: 1, index: 0 },
    effect: 1 / (i + 1),
    standardError: 0,
    n: 1,
    run: 'r',
  });
  const all = Array.from({ length: 1500 }, (_, i) => edge(i));
  const seen: number[] = [];
  let after: string | null = null;
  for (;;) {
    const window: EdgeWindow = edgeWindow('incoming', { first: 100, after });
    const page: EdgePage<EdgeRow> = edgePage(window, all.slice(0, window.limit));
    seen.push(...page.edges.map(({ row }) => row.source.index));
    if (!page.hasNext) break;
    after = page.edges.at(-1)!.cursor;
  }
  assert.deepEqual(seen, Array.from({ length: 1000 }, (_, i) => i));
  assert.throws(() => edgeWindow('outgoing', { first: 10, after }), { code: 'BAD_CURSOR' });
});

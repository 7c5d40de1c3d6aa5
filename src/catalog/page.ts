import { decodeCursor, encodeCursor, type CursorShape, type CursorValue } from './cursor.ts';
import { checkFirst } from './limits.ts';

export interface PageEdge<T> {
  readonly cursor: string;
  readonly node: T;
}

/** One page of a list; paging runs forward. */
export interface Page<T, E extends PageEdge<T> = PageEdge<T>> {
  readonly edges: readonly E[];
  readonly hasNext: boolean;
  /** True when the page was asked for after a cursor: the row the cursor names precedes it. */
  readonly hasPrevious: boolean;
}

export interface PageArgs {
  readonly first: number;
  readonly after?: string | null;
}

/** How a list held in memory is ordered and where a cursor points: the key of a row, ascending by value, then by the rest. */
export interface ListKey<T> {
  readonly scope: string;
  readonly shape: CursorShape;
  key(row: T): readonly CursorValue[];
}

/** A page of a short list that is in memory already; rows must be in the order of their keys. */
export function pageOfList<T>(rows: readonly T[], list: ListKey<T>, args: PageArgs): Page<T> {
  const first = checkFirst(args.first);
  const after = args.after ?? null;
  const last = after === null ? null : decodeCursor(list.scope, list.shape, after);
  const start = last === null ? 0 : rows.findIndex((row) => compareKeys(list.key(row), last) > 0);
  const page = start < 0 ? [] : rows.slice(start, start + first);
  return {
    edges: page.map((node) => ({ node, cursor: encodeCursor(list.scope, list.key(node)) })),
    hasNext: start >= 0 && start + first < rows.length,
    hasPrevious: after !== null,
  };
}

/** Order of keys of one shape: numbers by value, strings by code unit. */
export function compareKeys(a: readonly CursorValue[], b: readonly CursorValue[]): number {
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (x < y) return -1;
    if (x > y) return 1;
  }
  return 0;
}

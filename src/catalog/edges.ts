import { halfWidth95 } from '../causal/interval.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { checkFirst, LIMITS } from './limits.ts';
import type { PageArgs } from './page.ts';

export type EdgeDirection = 'incoming' | 'outgoing';

/** Lists of measured edges, each strongest first: of a feature to and from features, of a feature to tokens, of a token. */
export type EdgeList = EdgeDirection | 'outputs' | 'sources';

export interface EdgePage<Row> {
  readonly edges: readonly { readonly cursor: string; readonly row: Row }[];
  readonly hasNext: boolean;
  readonly hasPrevious: boolean;
}

/** What a page of one feature's (or token's) edges needs from the reader: its first `limit` edges, and where in them the page starts. */
export interface EdgeWindow<List extends EdgeList = EdgeDirection> {
  readonly list: List;
  readonly first: number;
  readonly skip: number;
  readonly limit: number;
}

/**
 * Edges of a feature never change until its circuits are measured anew, and only the LIMITS.edges strongest are reachable, so
 * a cursor holds the rank of an edge among them.
 */
export function edgeWindow<List extends EdgeList>(list: List, args: PageArgs): EdgeWindow<List> {
  const first = checkFirst(args.first);
  const after = args.after ?? null;
  const skip = after === null ? 0 : (decodeCursor(list, ['index'], after)[0] as number) + 1;
  return { list, first, skip, limit: Math.min(skip + first + 1, LIMITS.edges) };
}

export function edgePage<Row>(window: EdgeWindow<EdgeList>, rows: readonly Row[]): EdgePage<Row> {
  const page = rows.slice(window.skip, window.skip + window.first);
  return {
    edges: page.map((row, i) => ({ row, cursor: encodeCursor(window.list, [window.skip + i]) })),
    hasNext: rows.length > window.skip + window.first,
    hasPrevious: window.skip > 0,
  };
}

/** 95 % confidence interval of an edge's effect over its contexts; null below two. */
export function intervalOf(row: { readonly effect: number; readonly standardError: number; readonly n: number }): { low: number; high: number } | null {
  const half = halfWidth95(row);
  return half === null ? null : { low: row.effect - half, high: row.effect + half };
}

import type { EdgeRow } from '../ports/CatalogReader.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { checkFirst, LIMITS } from './limits.ts';
import type { PageArgs } from './page.ts';

export type EdgeDirection = 'incoming' | 'outgoing';

export interface EdgePage {
  readonly edges: readonly { readonly cursor: string; readonly row: EdgeRow }[];
  readonly hasNext: boolean;
  readonly hasPrevious: boolean;
}

/** What a page of one feature's edges needs from the reader: its first `limit` edges, and where in them the page starts. */
export interface EdgeWindow {
  readonly direction: EdgeDirection;
  readonly first: number;
  readonly skip: number;
  readonly limit: number;
}

/**
 * Edges of a feature never change until its circuits are measured anew, and only the LIMITS.edges strongest are reachable, so
 * a cursor holds the rank of an edge among them.
 */
export function edgeWindow(direction: EdgeDirection, args: PageArgs): EdgeWindow {
  const first = checkFirst(args.first);
  const after = args.after ?? null;
  const skip = after === null ? 0 : (decodeCursor(direction, ['index'], after)[0] as number) + 1;
  return { direction, first, skip, limit: Math.min(skip + first + 1, LIMITS.edges) };
}

export function edgePage(window: EdgeWindow, rows: readonly EdgeRow[]): EdgePage {
  const page = rows.slice(window.skip, window.skip + window.first);
  return {
    edges: page.map((row, i) => ({ row, cursor: encodeCursor(window.direction, [window.skip + i]) })),
    hasNext: rows.length > window.skip + window.first,
    hasPrevious: window.skip > 0,
  };
}

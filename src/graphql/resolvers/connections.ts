import type { Page, PageEdge } from '../../catalog/page.ts';

/** A page in the shape of the Relay connection types. */
export function connectionOf<T, E extends PageEdge<T>>(page: Page<T, E>) {
  return {
    edges: page.edges,
    nodes: page.edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: page.hasNext,
      hasPreviousPage: page.hasPrevious,
      startCursor: page.edges[0]?.cursor ?? null,
      endCursor: page.edges.at(-1)?.cursor ?? null,
    },
  };
}

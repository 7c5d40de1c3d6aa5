import type { PageEdge } from '../../catalog/page.ts';

/** A page in the shape of the Relay connection types. */
export function connectionOf<E extends PageEdge<unknown>>(page: { readonly edges: readonly E[]; readonly hasNext: boolean; readonly hasPrevious: boolean }) {
  return {
    edges: page.edges,
    nodes: page.edges.map((edge): E['node'] => edge.node),
    pageInfo: {
      hasNextPage: page.hasNext,
      hasPreviousPage: page.hasPrevious,
      startCursor: page.edges[0]?.cursor ?? null,
      endCursor: page.edges.at(-1)?.cursor ?? null,
    },
  };
}

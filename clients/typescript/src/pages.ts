import type { CatalogClient, Operation, RequestOptions } from './client.ts';
import { OutsideError } from './errors.ts';

/** A page of a list. */
export interface Connection<Node> {
  readonly nodes: readonly Node[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null };
}

/**
 * All entries of a connection, page after page, each fetched when it is reached. `pick` finds the connection in the data; the operation
 * takes `$after`. Throws where `pick` finds none.
 */
export async function* nodes<Data, Variables extends { readonly after?: string | null }, Node>(
  client: CatalogClient,
  operation: Operation<Data, Variables>,
  variables: Variables,
  pick: (data: Data) => Connection<Node> | null | undefined,
  options: RequestOptions = {},
): AsyncGenerator<Node, void, undefined> {
  for (let after = variables.after ?? null; ; ) {
    const page = pick(await client.request(operation, { ...variables, after }, options));
    if (page === null || page === undefined) throw new OutsideError('the answer holds no such list', { code: 'BAD_ANSWER' });
    yield* page.nodes;
    const { hasNextPage, endCursor } = page.pageInfo;
    if (!hasNextPage || endCursor === null || endCursor === undefined) return;
    after = endCursor;
  }
}

import type { GraphQLAnswer, GraphQLFailure, Json } from '../helpers/graphqlClient.ts';

/** A subscription to its end, as one answer: `data` is a list of what came, `errors` of all of it; or what it was refused with. */
export async function subscribe(url: string, query: string, headers: Record<string, string> = {}): Promise<GraphQLAnswer> {
  const response = await fetch(`${url}/stream`, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers }, body: JSON.stringify({ query }) });
  const contentType = response.headers.get('content-type') ?? '';
  const text = await response.text();
  const bodies = (contentType.startsWith('text/event-stream') ? [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => json!) : [text]).map((json) => JSON.parse(json) as { data?: Json; errors?: GraphQLFailure[] });
  return { status: response.status, contentType, data: bodies.flatMap(({ data }) => data ?? []), errors: bodies.flatMap(({ errors }) => errors ?? []), extensions: null };
}

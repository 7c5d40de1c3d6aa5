import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FORMAT } from '../../src/adapters/meilisearch/settings.ts';

/** What a server at MEILI_URL can do wrong. This tests how failures are met; it is no stand-in for Meilisearch. */
export const MEILI_FAULTS = ['hang', 'stalled-body', 'dropped', 'status-500', 'html', 'cut-json', 'no-fields', 'wrong-types', 'forbidden', 'no-index', 'other-catalog'] as const;
export type MeiliFault = (typeof MEILI_FAULTS)[number];

export interface FaultyMeili {
  readonly url: string;
  /** null = answers as an index of `catalog` with `hits` would. */
  fault: MeiliFault | null;
  /** Whether only searches go wrong, and what the index says of itself is right. */
  onlySearch: boolean;
  catalog: string;
  hits: readonly object[];
  /** Requests so far. */
  requests: number;
  /** Authorization headers so far. */
  readonly keys: Set<string | undefined>;
}

/** A loopback server that does wrong what it is told to. */
export async function withFaultyMeili(work: (server: FaultyMeili) => Promise<void>): Promise<void> {
  const state: { -readonly [Key in keyof FaultyMeili]: FaultyMeili[Key] } = { url: '', fault: null, onlySearch: false, catalog: 'c', hits: [], requests: 0, keys: new Set() };
  const server = createServer((request, response) => {
    state.requests++;
    state.keys.add(request.headers.authorization);
    request.resume();
    const asksState = request.url?.endsWith('/documents/meta') === true;
    if (state.fault !== null && !(state.onlySearch && asksState)) return void goWrong(state.fault, response);
    if (asksState) return void json(response, 200, meta(state.catalog));
    json(response, 200, { hits: state.hits, estimatedTotalHits: state.hits.length, facetDistribution: { dictionaryId: {}, explainer: {} } });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await work(state);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const meta = (catalog: string): object => ({ meta: { format: FORMAT, generation: 'g', catalog, vectors: null, synonyms: [] } });

function goWrong(fault: MeiliFault, response: ServerResponse): void {
  switch (fault) {
    case 'hang':
      return;
    case 'stalled-body':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }).write('{"hits":[');
      return;
    case 'dropped':
      response.destroy();
      return;
    case 'status-500':
      return json(response, 500, { oops: 'secret text of the server' });
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>welcome</html>');
      return;
    case 'cut-json':
      response.writeHead(200).end('{"hits":[{"dictionaryId":');
      return;
    case 'no-fields':
      return json(response, 200, {});
    case 'wrong-types':
      return json(response, 200, { hits: [{ dictionaryId: 'one', index: -1, explainer: null, description: 7, generation: {} }], estimatedTotalHits: 1, meta: 3 });
    case 'forbidden':
      return json(response, 403, { message: 'The provided API key is invalid.', code: 'invalid_api_key', type: 'auth', link: '' });
    case 'no-index':
      return json(response, 404, { message: 'Index `features` not found.', code: 'index_not_found', type: 'invalid_request', link: '' });
    case 'other-catalog':
      return json(response, 200, meta('another'));
  }
}

import { createServer, type RequestListener, type Server } from 'node:http';
import type { HttpSettings } from './settings.ts';

/** How often node looks for clients that are too slow. */
const CHECK_SECONDS = 2;
const MOST_HEADERS_BYTES = 16 * 1024;

/** An HTTP server that gives up on clients slow to send, and takes so many connections at once. */
export function listener({ headersSeconds, bodySeconds, connections }: HttpSettings, handle: RequestListener): Server {
  const server = createServer(
    {
      headersTimeout: headersSeconds * 1000,
      requestTimeout: bodySeconds * 1000,
      connectionsCheckingInterval: Math.min(CHECK_SECONDS, headersSeconds, bodySeconds) * 1000,
      // Who is told to try again in some seconds finds its connection still open, not closing under its next request.
      keepAliveTimeout: 65_000,
      maxHeaderSize: MOST_HEADERS_BYTES,
    },
    handle,
  );
  server.maxConnections = connections;
  return server;
}

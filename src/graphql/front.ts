import { randomUUID } from 'node:crypto';
import cors from 'cors';
import { Router, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { hostCheck, isLoopback } from './hosts.ts';
import type { HttpSettings } from './settings.ts';

const HOUR = 3600;
/** What a caller may name its request; anything else is replaced. */
const SANE_ID = /^[\w.:-]{1,64}$/;

/** What every request passes first: a request id, security headers, the check of Host, CORS. */
export function front(host: string, { hosts, corsOrigins }: HttpSettings): Router {
  const router = Router();
  router.use(requestId);
  router.use(
    helmet({
      // Answers are data; the pages of the IDE bring a policy of their own.
      contentSecurityPolicy: { useDefaults: false, directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] } },
      // For whoever ends TLS to say: this server speaks plain HTTP and does not know what else lives under its name.
      strictTransportSecurity: false,
      xFrameOptions: { action: 'deny' },
    }),
  );
  if (hosts !== undefined || isLoopback(host)) router.use(hostCheck(hosts ?? []));
  if (corsOrigins.length > 0) {
    const origin = corsOrigins.includes('*') ? '*' : [...corsOrigins];
    router.use(cors({ origin, methods: ['GET', 'POST'], exposedHeaders: ['X-Request-Id', 'Retry-After'], maxAge: HOUR }));
  }
  return router;
}

/** The caller's x-request-id where it is sane, otherwise a fresh one: in the answer, and in every line of the log. */
function requestId(request: Request, response: Response, next: NextFunction): void {
  const given = request.headers['x-request-id'];
  const id = typeof given === 'string' && SANE_ID.test(given) ? given : randomUUID();
  request.headers['x-request-id'] = id;
  response.set('X-Request-Id', id);
  next();
}

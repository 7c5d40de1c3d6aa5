import type { NextFunction, Request, Response } from 'express';

/** The header by which Apollo's protection is satisfied: no page can make a browser send it elsewhere without being allowed to. */
const CLEARED = 'apollo-require-preflight';

/**
 * Lets queries by GET through the protection against cross-site requests where no browser can have been made to send them by another
 * site's page: what is not a browser, and browsers that say the page is this server's (Sec-Fetch-Site, which pages cannot set). A
 * browser that does not say (plain HTTP beyond loopback) must send the header itself. Mutations are POSTed as JSON, which Apollo checks.
 */
export function clearSameSite(request: Request, _response: Response, next: NextFunction): void {
  if (request.method === 'GET' && !mayBeCrossSite(request)) request.headers[CLEARED] ??= '1';
  next();
}

function mayBeCrossSite({ headers }: Request): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return headers.origin !== undefined || headers.referer !== undefined || /mozilla/i.test(headers['user-agent'] ?? '');
}

import type { NextFunction, Request, Response } from 'express';

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether a server bound to this address is reached from this machine only. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.test(address) || address === '::1';
}

/**
 * Refuses requests whose Host is none of `hosts` (with any port) nor a name of loopback. A page elsewhere whose name is made to point
 * at this server (DNS rebinding) would otherwise be of one origin with it, and read everything.
 */
export function hostCheck(hosts: readonly string[]) {
  const known = new Set(hosts.map((host) => host.toLowerCase()));
  return (request: Request, response: Response, next: NextFunction): void => {
    const host = (request.headers.host ?? '').toLowerCase();
    const name = host.replace(/:\d+$/, '');
    if (known.has(name) || known.has(host) || LOOPBACK.test(name)) return next();
    const message = 'this server does not answer to the name in the header Host: whoever runs it can add the name to HOSTS';
    response.status(421).json({ errors: [{ message, extensions: { code: 'BAD_REQUEST' } }] });
  };
}

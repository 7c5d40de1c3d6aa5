import type { NextFunction, Request, Response } from 'express';
import { GraphQLError } from 'graphql';
import { QuotaError, type Access, type Spent } from '../catalog/access.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { requireScope } from '../catalog/viewerCatalog.ts';
import { CallerError } from '../domain/errors.ts';
import { OWNER, type Viewer } from '../domain/viewer.ts';

/** Who asks, and the catalog as they may see and use it. */
export interface Visit {
  readonly viewer: Viewer;
  readonly catalog: Catalog;
  /** Models that do not exist in it. */
  readonly hidden: ReadonlySet<string>;
}

const visits = new WeakMap<Request, Visit>();

/** Finds who asks by the header Authorization before anything else is read; answers 401 or 403 where they may not even read. Without `access` everybody is the owner. */
export function authenticate(catalog: Catalog, access: Access | undefined) {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    try {
      visits.set(request, await visitOf(catalog, access, request.headers.authorization));
    } catch (error) {
      return refuse(response, error);
    }
    next();
  };
}

/** After `authenticate`: 401 or 403 for all but administrators, and owners. */
export function adminsOnly(request: Request, response: Response, next: NextFunction): void {
  try {
    requireScope(visitOn(request).viewer, 'admin', request.path);
  } catch (error) {
    return refuse(response, error);
  }
  next();
}

function refuse(response: Response, error: unknown): void {
  if (!(error instanceof CallerError)) throw error;
  const { message, code } = error;
  if (code === 'UNAUTHENTICATED') response.set('WWW-Authenticate', 'Bearer realm="feature-catalog"');
  response.set('Cache-Control', 'no-store').status(code === 'UNAUTHENTICATED' ? 401 : 403).json({ errors: [{ message, extensions: { code } }] });
}

async function visitOf(catalog: Catalog, access: Access | undefined, authorization: string | undefined): Promise<Visit> {
  if (access === undefined) return { viewer: OWNER, catalog, hidden: new Set() };
  const viewer = await access.authenticate(authorization);
  const hidden = await access.hidden(viewer);
  return { viewer, catalog: viewer === OWNER ? catalog : catalog.for(viewer, hidden), hidden };
}

/** Throws where whoever came by this request may no longer have what it asked for: their key was revoked, or a model hidden from them since. */
export async function checkStill(access: Access | undefined, request: Request): Promise<void> {
  if (access === undefined) return;
  const viewer = await access.authenticate(request.headers.authorization);
  requireScope(viewer, 'patch', 'running a model');
  const { hidden } = visitOn(request);
  for (const model of await access.hidden(viewer)) {
    if (!hidden.has(model)) throw new CallerError('FORBIDDEN', 'what this key may read has changed meanwhile: ask again for what is left');
  }
}

/** The catalog as those see it who come without a key; null where they see nothing. */
export async function strangersCatalog(catalog: Catalog, access: Access | undefined): Promise<Catalog | null> {
  try {
    return (await visitOf(catalog, access, undefined)).catalog;
  } catch (error) {
    if (error instanceof CallerError) return null;
    throw error;
  }
}

/** What `authenticate` found of the request. */
export function visitOn(request: Request): Visit {
  const visit = visits.get(request);
  if (visit === undefined) throw new CallerError('UNAUTHENTICATED', 'nobody said who asks');
  return visit;
}

/** The charge for an operation; refusals as GraphQL errors with a status, for nothing has run yet. */
export async function chargeOperation(access: Access | undefined, viewer: Viewer, cost: number): Promise<Spent | null> {
  if (access === undefined) return null;
  try {
    return await access.charge(viewer, cost);
  } catch (error) {
    if (error instanceof QuotaError) {
      const { used, quota, renewsAt } = error.spent;
      throw new GraphQLError(error.message, { extensions: { code: error.code, limit: 'quota', found: cost, used, quota, renewsAt, http: { status: 429 } } });
    }
    if (error instanceof CallerError) throw new GraphQLError(error.message, { extensions: { code: error.code, http: { status: 401 } } });
    throw error;
  }
}

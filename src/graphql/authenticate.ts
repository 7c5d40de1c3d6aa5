import type { NextFunction, Request, Response } from 'express';
import { GraphQLError } from 'graphql';
import { QuotaError, type Access, type Spent } from '../catalog/access.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { CallerError } from '../domain/errors.ts';
import { OWNER, type Viewer } from '../domain/viewer.ts';

/** Who asks, and the catalog as they may see and use it. */
export interface Visit {
  readonly viewer: Viewer;
  readonly catalog: Catalog;
}

const visits = new WeakMap<Request, Visit>();

/** Finds who asks by the header Authorization before anything else is read; answers 401 or 403 where they may not even read. Without `access` everybody is the owner. */
export function authenticate(catalog: Catalog, access: Access | undefined) {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    try {
      visits.set(request, await visitOf(catalog, access, request.headers.authorization));
    } catch (error) {
      if (!(error instanceof CallerError)) throw error;
      const { message, code } = error;
      if (code === 'UNAUTHENTICATED') response.set('WWW-Authenticate', 'Bearer realm="feature-catalog"');
      response.set('Cache-Control', 'no-store').status(code === 'UNAUTHENTICATED' ? 401 : 403).json({ errors: [{ message, extensions: { code } }] });
      return;
    }
    next();
  };
}

async function visitOf(catalog: Catalog, access: Access | undefined, authorization: string | undefined): Promise<Visit> {
  if (access === undefined) return { viewer: OWNER, catalog };
  const viewer = await access.authenticate(authorization);
  if (viewer === OWNER) return { viewer, catalog };
  return { viewer, catalog: catalog.for(viewer, await access.hidden(viewer)) };
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

/** What a key may do. `read` where reads are closed; `admin` whatever there is. */
export const SCOPES = ['read', 'patch', 'annotate', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who asks: one for each request, found before anything is read. */
export interface Viewer {
  /** The key's public id; null for those who came without a key. */
  readonly keyId: string | null;
  /** Name of the key, as its maker gave it; `anonymous` without one. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Catalog names of the restricted models it may read beside those open to all; 'all' = every model. */
  readonly models: 'all' | readonly string[];
}

/** The server's own user: a script in the same process, and a server on loopback that knows no keys. */
export const OWNER: Viewer = Object.freeze({ keyId: null, name: 'anonymous', scopes: new Set<Scope>(SCOPES), models: 'all' });

export function holds(viewer: Viewer, scope: Scope): boolean {
  return viewer.scopes.has(scope) || viewer.scopes.has('admin');
}

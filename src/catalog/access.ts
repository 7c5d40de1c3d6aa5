import { createHash, randomBytes } from 'node:crypto';
import { CallerError } from '../domain/errors.ts';
import { OWNER, SCOPES, type Scope, type Viewer } from '../domain/viewer.ts';
import type { ApiKey, Charge, KeyStore } from '../ports/KeyStore.ts';

/** How long what was read of keys and restricted models is believed, unless AccessOptions says otherwise. A revoked key is refused at once all the same: charging looks at its row. */
const BELIEVED_MS = 5000;
/** Keys remembered at once. */
const MOST_KEYS = 10_000;
const TOKEN = /^fc_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

export interface NewKey {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly models: readonly string[];
  readonly quota: number | null;
}

/** What a request cost its key today. */
export interface Spent {
  readonly used: number;
  /** null = no limit. */
  readonly quota: number | null;
  readonly left: number | null;
  /** When the day ends, ISO 8601. */
  readonly renewsAt: string;
}

export interface Access {
  /** Who asks, by the header Authorization; throws UNAUTHENTICATED for an unknown or revoked key, and where reads need a key and there is none. */
  authenticate(authorization: string | undefined): Promise<Viewer>;
  /** Adds the cost to what the viewer's key spent today; throws QuotaError where its quota would be passed, UNAUTHENTICATED where it was revoked. null: no key, nothing counted. */
  charge(viewer: Viewer, cost: number): Promise<Spent | null>;
  /** Names of restricted models the viewer may not read; at most BELIEVED_MS old. */
  hidden(viewer: Viewer): Promise<ReadonlySet<string>>;
}

/** The key's units of the day do not suffice: nothing ran, nothing was spent. */
export class QuotaError extends CallerError {
  override readonly name = 'QuotaError';
  readonly spent: Spent;

  constructor(cost: number, spent: Spent) {
    const { used, quota, renewsAt } = spent;
    super('LIMIT_EXCEEDED', `this costs ${cost} units, and the key has spent ${used} of its ${quota} a day: ask for less, or again after ${renewsAt}`);
    this.spent = spent;
  }
}

export interface AccessOptions {
  readonly reads: 'open' | 'closed';
  /** Whether the server is reached from its own machine only. */
  readonly loopback: boolean;
  /** In place of BELIEVED_MS. */
  readonly believedMs?: number;
}

/**
 * On loopback, while no key was ever made and reads are open, everybody is the owner. Otherwise who comes without a key reads what is
 * not restricted, or nothing where reads are closed.
 */
export function createAccess(keys: KeyStore, { reads, loopback, believedMs = BELIEVED_MS }: AccessOptions): Access {
  const stranger: Viewer = Object.freeze({ keyId: null, name: 'anonymous', scopes: new Set<Scope>(reads === 'open' ? ['read'] : []), models: [] });
  const known = new Map<string, { readonly viewer: Viewer; readonly until: number }>();
  const ruled = believed(async () => !loopback || reads === 'closed' || (await keys.state()).any, believedMs);
  const restricted = believed(() => keys.restricted(), believedMs);

  const byToken = async (token: string): Promise<Viewer> => {
    const found = TOKEN.exec(token);
    if (found === null) throw unknownKey();
    const hash = hashOf(token);
    const cacheKey = hash.toString('base64');
    const cached = known.get(cacheKey);
    if (cached !== undefined && cached.until > performance.now()) return cached.viewer;
    const key = await keys.find(found[1]!, hash);
    known.delete(cacheKey);
    if (key === null) throw unknownKey();
    if (known.size >= MOST_KEYS) known.clear();
    const viewer = viewerOf(key, reads);
    known.set(cacheKey, { viewer, until: performance.now() + believedMs });
    return viewer;
  };

  return {
    async authenticate(authorization) {
      const viewer = authorization === undefined ? ((await ruled()) ? stranger : OWNER) : await byToken(bearer(authorization));
      if (!viewer.scopes.has('read') && !viewer.scopes.has('admin')) {
        if (viewer.keyId !== null) throw new CallerError('FORBIDDEN', 'reads of this server are closed: this needs a key with the scope read');
        throw new CallerError('UNAUTHENTICATED', 'reads of this server are closed: send a key with the scope read as "Authorization: Bearer fc_…"');
      }
      return viewer;
    },
    async charge(viewer, cost) {
      if (viewer.keyId === null) return null;
      const charge: Charge = await keys.charge(viewer.keyId, Math.ceil(cost));
      if (charge.outcome === 'unknown') throw unknownKey();
      const { used, quota, renewsAt } = charge;
      const spent: Spent = { used, quota, left: quota === null ? null : Math.max(0, quota - used), renewsAt };
      if (charge.outcome === 'refused') throw new QuotaError(cost, spent);
      return spent;
    },
    async hidden(viewer) {
      if (viewer.models === 'all') return NONE;
      const names = await restricted();
      return names.length === 0 ? NONE : new Set(names.filter((name) => !viewer.models.includes(name)));
    },
  };
}

const NONE: ReadonlySet<string> = new Set();

/** A new key; the token is shown once and kept nowhere. Throws BAD_INPUT. */
export async function createKey(keys: KeyStore, { name, scopes, models, quota }: NewKey): Promise<{ readonly id: string; readonly token: string }> {
  if (!NAME.test(name)) throw new CallerError('BAD_INPUT', `a key's name is 1 to 64 of a-z, 0-9, ".", "_", "-", found ${JSON.stringify(name)}`);
  if (name === OWNER.name) throw new CallerError('BAD_INPUT', `the name ${name} is taken: it says that there is no key`);
  const wrong = scopes.find((scope) => !SCOPES.some((one) => one === scope));
  if (wrong !== undefined || scopes.length === 0) throw new CallerError('BAD_INPUT', `expected scopes among ${SCOPES.join(', ')}, found ${JSON.stringify(wrong ?? '')}`);
  if (quota !== null && !(Number.isSafeInteger(quota) && quota > 0)) throw new CallerError('BAD_INPUT', `a quota is a whole number of cost units a day above 0, found ${quota}`);
  const id = randomBytes(6).toString('hex');
  const token = `fc_${id}_${randomBytes(32).toString('base64url')}`;
  await keys.create({ id, name, scopes: SCOPES.filter((scope) => scopes.includes(scope)), models: [...new Set(models)], quota }, hashOf(token));
  return { id, token };
}

/** Refuses to be reached from other machines while nobody has a key that may run models: BAD_CONFIG. */
export async function checkExposure(keys: KeyStore, loopback: boolean, host: string): Promise<void> {
  if (loopback || (await keys.state()).patch) return;
  throw new CallerError('BAD_CONFIG', `HOST is ${host}, which other machines reach, and there is no key for what runs models: make one first with "keys create NAME --scopes read,patch", or listen on 127.0.0.1`);
}

function viewerOf({ id, name, scopes, models }: ApiKey, reads: 'open' | 'closed'): Viewer {
  // What strangers may do, keys may too.
  const granted = new Set<Scope>(reads === 'open' ? ['read', ...scopes] : scopes);
  return Object.freeze({ keyId: id, name, scopes: granted, models: models.includes('*') || granted.has('admin') ? ('all' as const) : models });
}

function bearer(authorization: string): string {
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function unknownKey(): CallerError {
  return new CallerError('UNAUTHENTICATED', 'the key is unknown or was revoked: send one as "Authorization: Bearer fc_…"');
}

/** What `read` answered, for so many milliseconds; asked once at a time. */
function believed<T>(read: () => Promise<T>, ms: number): () => Promise<T> {
  let last: { readonly value: Promise<T>; readonly until: number } | undefined;
  return () => {
    if (last !== undefined && last.until > performance.now()) return last.value;
    const value = read();
    last = { value, until: performance.now() + ms };
    value.catch(() => (last = undefined));
    return value;
  };
}

import type { Scope } from '../domain/viewer.ts';

/** A key without its secret. */
export interface ApiKey {
  /** Public: 12 hex digits. */
  readonly id: string;
  /** Unique among all keys, revoked ones too. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Restricted models it may read; `*` = all of them. */
  readonly models: readonly string[];
  /** Cost units a UTC day; null = no limit. */
  readonly quota: number | null;
  readonly createdAt: string;
  readonly revokedAt: string | null;
}

export interface KeyUse extends ApiKey {
  /** Cost units of the present UTC day. */
  readonly usedToday: number;
  /** UTC day of the latest charge, e.g. `2026-01-31`; null = never used. */
  readonly lastUsed: string | null;
}

/** What came of a charge. `refused`: nothing was spent; `unknown`: there is no such key, or it was revoked. Days are UTC days of the database's clock. */
export type Charge =
  | { readonly outcome: 'charged' | 'refused'; readonly used: number; readonly quota: number | null; readonly renewsAt: string }
  | { readonly outcome: 'unknown' };

/** Keys of the API and what they spent, shared by all servers of one database. */
export interface KeyStore {
  /** Throws BAD_INPUT where the name is taken. `secretHash`: 32 bytes. */
  create(key: Pick<ApiKey, 'id' | 'name' | 'scopes' | 'models' | 'quota'>, secretHash: Uint8Array): Promise<void>;
  /** By creation. */
  list(): Promise<readonly KeyUse[]>;
  /** False where there is no such key; revoking one twice keeps the first time. */
  revoke(id: string): Promise<boolean>;
  /** The key with this id and secret, unless it is revoked. */
  find(id: string, secretHash: Uint8Array): Promise<ApiKey | null>;
  /** Whether there is any key, revoked ones included, and one that may run models. */
  state(): Promise<{ readonly any: boolean; readonly patch: boolean }>;
  /** Adds to what the key spent today unless that would pass its quota: one statement, so that no two servers spend the same units. */
  charge(id: string, cost: number): Promise<Charge>;
  /** Names of restricted models. */
  restricted(): Promise<readonly string[]>;
  /** False where there is no such model. */
  restrict(model: string, restricted: boolean): Promise<boolean>;
}

import type { SearchDocument } from './SearchIndex.ts';

/** Changes of one dictionary that the search index has not been told of. */
export interface OutboxChanges {
  readonly dictionaryId: number;
  /** Features whose explanations changed; null = the whole dictionary. */
  readonly indices: readonly number[] | null;
  /** Above that of everything put into an index for this dictionary so far. */
  readonly revision: number;
  /** The rows behind it, [index, revision]: a row that has changed again since is another one. */
  readonly rows: readonly (readonly [index: number, revision: string])[];
}

/** A claim: nobody else takes changes of this dictionary until it ends or its lease runs out. */
export type OutboxClaim = OutboxChanges;

/** The building of a new index: while it lasts, changes that were sent to the index that answers are kept for the new one. */
export interface OutboxBuild {
  /** Everything changed since the build began that `known` (`dictionaryId/index` → revision) does not have yet. */
  changes(known: ReadonlyMap<string, string>): Promise<readonly OutboxChanges[]>;
  /** From here to the end nobody sends anything; resolves when nobody does. */
  pause(): Promise<void>;
  /** Ends it. With `replayed` the new index has been published and knows these; without, everything stays to be sent. */
  end(replayed?: ReadonlyMap<string, string>): Promise<void>;
}

/** The catalog as a search index sees it, and what that has yet to be told. Failures are OutsideErrors. */
export interface SearchOutbox {
  /** Tells this catalog from others. */
  catalogId(): Promise<string>;
  /** Takes the oldest changes, all of one dictionary, at most 1,000 features or the whole; null = none for the taking now. */
  claim(): Promise<OutboxClaim | null>;
  /** Lengthens a claim; false = its lease ran out, and another may have it. */
  renew(claim: OutboxClaim): Promise<boolean>;
  /** What was claimed has been sent. */
  finish(claim: OutboxClaim): Promise<void>;
  /** It has not. */
  release(claim: OutboxClaim): Promise<void>;
  /** Rows that wait to be sent. */
  waiting(): Promise<number>;
  /** Notes whole dictionaries, to be sent again. */
  note(dictionaryIds: readonly number[]): Promise<void>;
  /** Explanations of these features (null = all) of a dictionary (null = of all), in batches; in constant memory. */
  documents(dictionaryId: number | null, indices: readonly number[] | null, batch: number): AsyncIterable<readonly SearchDocument[]>;
  /** Explanations by dictionary. */
  counts(): Promise<ReadonlyMap<number, number>>;
  /** Refused as BUSY while another build lives. One whose process has died is ended first. */
  beginBuild(): Promise<OutboxBuild>;
}

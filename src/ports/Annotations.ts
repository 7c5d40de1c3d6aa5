import type { FeatureKey } from './CatalogReader.ts';

/** Who reads or writes annotations. What a reader may not see is left out in the query itself, before anything is counted or limited. */
export interface Annotator {
  /** The key's id; `local` = the server's own user; '' = nobody, who owns nothing. */
  readonly owner: string;
  readonly author: string;
  /** Sees and changes everybody's. */
  readonly admin: boolean;
  /** Models whose features do not exist for them. */
  readonly hidden: readonly string[];
}

export interface NoteRow extends FeatureKey {
  readonly id: number;
  readonly owner: string;
  readonly author: string;
  readonly public: boolean;
  readonly text: string;
  readonly createdAt: string;
}

export interface FeatureListRow {
  readonly id: number;
  readonly owner: string;
  readonly author: string;
  readonly public: boolean;
  readonly name: string;
  readonly description: string;
  readonly createdAt: string;
  /** Entries the reader may see. */
  readonly size: number;
}

export interface ListEntryRow extends FeatureKey {
  readonly place: number;
  readonly comment: string | null;
  readonly addedAt: string;
}

export interface PersonExplanation extends FeatureKey {
  readonly explainer: string;
  readonly description: string;
  readonly owner: string;
  /** Of the dictionary it was written for. */
  readonly weightsHash: string;
}

/** What people say of features. */
export interface Annotations {
  /** Of each feature those the reader may see, by id, above `after`; at most `limit`. */
  notes(keys: readonly FeatureKey[], who: Annotator, limit: number, after: number): Promise<readonly (readonly NoteRow[])[]>;
  note(id: number, who: Annotator): Promise<NoteRow | null>;
  /** null where the owner has `most` notes on the feature; the same text again is the same note. */
  addNote(key: FeatureKey, who: Annotator, text: string, shown: boolean, most: number): Promise<NoteRow | null>;
  deleteNote(id: number): Promise<void>;
  /** By id, above `after`; `own`: the reader's alone. */
  lists(who: Annotator, own: boolean, limit: number, after: number): Promise<readonly FeatureListRow[]>;
  list(id: number, who: Annotator): Promise<FeatureListRow | null>;
  /** null where the owner has `most` lists. Throws BAD_INPUT where the owner has a list of this name. */
  addList(who: Annotator, list: { readonly name: string; readonly description: string; readonly public: boolean }, most: number): Promise<number | null>;
  changeList(id: number, list: { readonly name: string; readonly description: string; readonly public: boolean }): Promise<void>;
  deleteList(id: number): Promise<void>;
  entries(list: number, who: Annotator, limit: number, after: number): Promise<readonly ListEntryRow[]>;
  /** Adds features, or changes their comments; false (nothing added) where the list would hold more than `most`. */
  addEntries(list: number, entries: readonly (FeatureKey & { readonly comment: string | null })[], most: number): Promise<boolean>;
  removeEntries(list: number, keys: readonly FeatureKey[]): Promise<void>;
  /** Explanations by people, of each feature. */
  explanations(keys: readonly FeatureKey[]): Promise<readonly (readonly PersonExplanation[])[]>;
  /** Writes or replaces one; search finds it at once. */
  saveExplanation(explanation: PersonExplanation): Promise<void>;
  deleteExplanation(key: FeatureKey, explainer: string): Promise<void>;
}

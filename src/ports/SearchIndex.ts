/** An explanation as a search index beside the database holds it. */
export interface SearchDocument {
  readonly dictionaryId: number;
  readonly index: number;
  readonly explainer: string;
  readonly model: string;
  /** Name of the dictionary. */
  readonly dictionary: string;
  readonly layer: number;
  readonly description: string;
  /** simulation-top-random; null = undefined. */
  readonly bestScore: number | null;
}

/** Vectors of an index: who made them, and how long they are. */
export interface IndexVectors {
  readonly model: string;
  readonly dimensions: number;
}

/** What an index is built with; kept inside it. */
export interface IndexPlan {
  /** The catalog it is of: an index is never brought in step with another one. */
  readonly catalog: string;
  /** Null = searched by words only. */
  readonly vectors: IndexVectors | null;
  /** Lower-case words that count as one another, in groups. */
  readonly synonyms: readonly (readonly string[])[];
}

/** An index that is whole. */
export interface IndexState extends IndexPlan {
  /** Another one for every building. */
  readonly generation: string;
  /** Whether this program writes documents of the same form. */
  readonly current: boolean;
}

/** Writes to one index. Failures are OutsideErrors; what was put before one may be there or not, and may be put again. */
export interface SearchIndexWriter {
  /**
   * Puts documents, in place of those of the same feature and explainer. Returns before they can be found, but waits while much
   * is under way. `vectors` as many as documents, or null. Revisions of one dictionary only grow.
   */
  put(documents: readonly SearchDocument[], vectors: readonly Float32Array[] | null, revision: number): Promise<void>;
  /** Removes what earlier revisions left of these features (null = of the whole dictionary). */
  prune(dictionaryId: number, indices: readonly number[] | null, revision: number): Promise<void>;
  /** Resolves when everything put and pruned can be found; rejects when any of it failed. */
  settled(): Promise<void>;
  /** Documents by dictionary, of the 1,000 dictionaries with most. */
  counts(): Promise<ReadonlyMap<number, number>>;
}

/** An index beside the one that answers. */
export interface SearchIndexBuild extends SearchIndexWriter {
  readonly name: string;
  /** Puts it in the place of the one that answers, at once and whole, and removes that one. */
  publish(): Promise<void>;
  /** Removes it. */
  discard(): Promise<void>;
}

/** A search index beside the database: derived data, which can be built again at any time. */
export interface SearchIndex {
  /** For people, without secrets. */
  readonly name: string;
  /** Null = there is none yet. */
  state(): Promise<IndexState | null>;
  /** Writes to the index that answers, of this state. */
  live(state: IndexState): SearchIndexWriter;
  build(plan: IndexPlan): Promise<SearchIndexBuild>;
  /** Removes indices that were never published; returns how many. */
  discardUnfinished(): Promise<number>;
}

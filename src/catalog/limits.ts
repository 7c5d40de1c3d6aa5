import { CallerError } from '../domain/errors.ts';

/** What one request may ask of the catalog. Part of the public contract: schema.graphql names these numbers. */
export const LIMITS = {
  /** Entries of a page, ids of `nodes`. */
  page: 100,
  /** Values of one filter list. */
  filterValues: 100,
  /** Characters of the name of a scorer, a judge or an explainer. */
  nameCharacters: 500,
  /** Exemplars of one kind reachable by paging. */
  exemplars: 10_000,
  /** Edges kept reachable by paging around one feature. */
  edges: 1000,
  /** Edges of one circuit, and steps from its target. */
  circuitEdges: 500,
  circuitDepth: 8,
  /** Characters of a search query. */
  queryCharacters: 200,
  /** Characters of a text given to a model; tokens are bounded by its context. */
  textCharacters: 20_000,
  /** Dictionaries read by one `activations`. */
  dictionaries: 16,
  /** Features reported per token. */
  topK: 50,
  /** Live model runs at once, and waiting behind them. */
  liveRunning: 4,
  liveWaiting: 32,
  /** Patches of one mutation, and of one subscription; subscriptions at once. */
  patches: 64,
  streamedPatches: 1024,
  streams: 16,
  /** Patches of a subscription that run together: what is lost, at most, when its client goes away. */
  streamGroup: 16,
  /** Work of one patch, and of one run of the engine over several (patchWork, src/catalog/patchBounds.ts). */
  patchWork: 2_500_000,
  /** Numbers in one patch's result, and in the results of one mutation together (patchNumbers). */
  patchNumbers: 1_200_000,
  mutationNumbers: 1_200_000,
  /** Features read beside those edited, tokens named, pairs of tokens. */
  watchedFeatures: 64,
  namedTokens: 32,
  tokenPairs: 16,
  /** How long one mutation, and one subscription, may take, waiting included. */
  patchSeconds: 60,
  streamSeconds: 600,
  /** Of one `steer`: tokens written on each side, features, temperature, seconds; results kept in memory. */
  steerTokens: 256,
  steerFeatures: 64,
  temperature: 10,
  steerSeconds: 60,
  steerKept: 256,
  /** Features of one model explained at once, and waiting behind them. */
  explainRunning: 1,
  explainWaiting: 8,
  /** Features whose random fragments serve as background of an explanation. */
  backgroundFeatures: 256,
} as const;

/** Returns `value` when it is a whole number in [low, high]; throws LIMIT_EXCEEDED naming the field otherwise. */
export function checkCount(field: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new CallerError('LIMIT_EXCEEDED', `${field} is ${value}: expected ${low} to ${high}`, { field: [field] });
  }
  return value;
}

/** Page size, 1 to LIMITS.page. */
export function checkFirst(first: number): number {
  return checkCount('first', first, 1, LIMITS.page);
}

/** Throws unless `text` holds 1 to `most` characters and can be stored as UTF-8 text. */
export function checkText(field: string, text: string, most: number): string {
  if (text.length === 0) {
    throw new CallerError('BAD_INPUT', `${field} is empty: expected 1 to ${most} characters`, { field: [field] });
  }
  if (text.length > most) {
    throw new CallerError('TEXT_TOO_LONG', `${field} has ${text.length} characters: expected at most ${most}`, { field: [field] });
  }
  // PostgreSQL text cannot hold U+0000, and a lone surrogate is no character in any encoding.
  if (text.includes('\u0000') || !text.isWellFormed()) {
    throw new CallerError('BAD_INPUT', `${field} holds a NUL or half a surrogate pair: expected whole characters`, { field: [field] });
  }
  return text;
}

/** Throws LIMIT_EXCEEDED when a filter lists more than LIMITS.filterValues values. */
export function checkList(field: string, values: readonly unknown[] | null | undefined): void {
  if (values !== null && values !== undefined && values.length > LIMITS.filterValues) {
    throw new CallerError('LIMIT_EXCEEDED', `${field} lists ${values.length} values: expected at most ${LIMITS.filterValues}`, {
      field: [field],
    });
  }
}

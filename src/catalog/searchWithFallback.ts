import { CallerError, InvariantError, messageOf } from '../domain/errors.ts';
import type { FeatureSearch, SearchFacets, SearchPage } from '../ports/FeatureSearch.ts';

export interface FallbackOptions {
  /** Asked first: Meilisearch. */
  readonly preferred: FeatureSearch;
  /** Asked where that fails: PostgreSQL. */
  readonly catalog: FeatureSearch;
  /** After a failure the preferred one is left alone for so long; then one query tries it. Default 5,000 ms. */
  readonly restMs?: number;
  /** Default performance.now. */
  readonly now?: () => number;
  /** Every answer given in place of the preferred one's, with the reason. */
  readonly onFallback?: (reason: string) => void;
}

/** Longest reason shown. */
const REASON = 300;

/**
 * Search by one engine, with another that answers where it cannot, and says so. A list that one engine began it also goes on with:
 * positions of the two do not compare.
 */
export function searchWithFallback({ preferred, catalog, restMs = 5000, now = () => performance.now(), onFallback }: FallbackOptions): FeatureSearch {
  const breaker = new Breaker(restMs, now);
  const inPlace = async (reason: string, page: Promise<SearchPage>): Promise<SearchPage> => {
    onFallback?.(reason);
    return { ...(await page), fallback: reason };
  };
  return {
    async search(request): Promise<SearchPage> {
      const { after } = request;
      if (after?.engine === 'postgres') return { ...(await catalog.search(request)), fallback: 'this list began in PostgreSQL, and goes on there' };
      const answer = await breaker.run(() => preferred.search(request));
      if (answer.kind === 'answer') return answer.value;
      if (after !== null) {
        throw new CallerError('BAD_CURSOR', `this list began in Meilisearch, which cannot go on with it now (${answer.reason}): begin at the first page, or try again later`, { field: ['after'] });
      }
      return inPlace(answer.reason, catalog.search(request));
    },
    async facets(filter, page): Promise<SearchFacets> {
      if (page.engine === 'postgres') return catalog.facets(filter, page);
      const answer = await breaker.run(() => preferred.facets(filter, page));
      if (answer.kind === 'answer') return answer.value;
      onFallback?.(answer.reason);
      // PostgreSQL has no vectors: what is near in meaning it counts by spelling.
      return catalog.facets(filter, { matched: page.matched === 'semantic' ? 'similar' : page.matched, engine: 'postgres' });
    },
  };
}

type Outcome<T> = { readonly kind: 'answer'; readonly value: T } | { readonly kind: 'failed'; readonly reason: string };

/** Leaves what has failed alone for a while, so that a server that is slow or away does not slow down every query. */
class Breaker {
  readonly #restMs: number;
  readonly #now: () => number;
  #open: { readonly reason: string; readonly until: number } | null = null;
  #trying = false;

  constructor(restMs: number, now: () => number) {
    this.#restMs = restMs;
    this.#now = now;
  }

  async run<T>(work: () => Promise<T>): Promise<Outcome<T>> {
    const open = this.#open;
    // One query tries; the others do not wait for what that comes to.
    if (open !== null && (this.#trying || this.#now() < open.until)) return { kind: 'failed', reason: open.reason };
    if (open !== null) this.#trying = true;
    try {
      const value = await work();
      this.#open = null;
      return { kind: 'answer', value };
    } catch (error) {
      // A question that the engine does not take says nothing of its health.
      if (error instanceof CallerError && error.code === 'UNSUPPORTED') return { kind: 'failed', reason: shown(error) };
      if (error instanceof CallerError || error instanceof InvariantError) throw error;
      const reason = shown(error);
      this.#open = { reason, until: this.#now() + this.#restMs };
      return { kind: 'failed', reason };
    } finally {
      if (open !== null) this.#trying = false;
    }
  }
}

const shown = (error: unknown): string => messageOf(error).slice(0, REASON);

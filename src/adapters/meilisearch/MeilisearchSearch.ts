import type { z } from 'zod';
import { CallerError } from '../../domain/errors.ts';
import { parseQuery, type SearchQuery } from '../../domain/searchQuery.ts';
import type { FeatureSearch, SearchFacets, SearchFilter, SearchMatched, SearchPage, SearchRequest } from '../../ports/FeatureSearch.ts';
import type { IndexState } from '../../ports/SearchIndex.ts';
import { FIELDS, Facets, Hits, hitOf, typosOf, type Answer } from './answers.ts';
import { MeiliConnection, MeiliFailure, type MeiliOptions } from './connection.ts';
import { DEFAULT_INDEX, readState } from './MeilisearchIndex.ts';
import { positionOf, readPosition } from './position.ts';
import { filterText, queryTexts, type WordsMode } from './queries.ts';
import { EMBEDDER, MOST_HITS, MOST_WORDS } from './settings.ts';

const MAX_QUERY_LENGTH = 1000;
/** How long what the index says of itself is believed. */
const STATE_MS = 5000;
/** How much meaning counts beside words. */
const SEMANTIC_RATIO = 0.5;
/** Hits by meaning that can be paged through: everything is near something. */
const NEAREST = 200;

export interface MeilisearchSearchOptions extends MeiliOptions {
  /** The catalog the index must be of. */
  readonly catalog: () => Promise<string>;
  /** Vector of a query; absent = by words only. Used where the index holds vectors of the same model. */
  readonly embedding?: { readonly model: string; vector(query: string): Promise<Float32Array | null> };
}

/** What the index says of itself, for a while. */
interface Known {
  readonly state: IndexState;
  readonly synonyms: ReadonlySet<string>;
  readonly until: number;
}

/** Search in Meilisearch. Only whole words first; what that does not find, by beginnings and then by similar spelling. */
export class MeilisearchSearch implements FeatureSearch {
  readonly #options: MeilisearchSearchOptions;
  readonly #connection: MeiliConnection;
  readonly #index: string;
  readonly #timeoutMs: number;
  #known: Known | null = null;

  constructor(options: MeilisearchSearchOptions) {
    this.#options = options;
    this.#connection = new MeiliConnection(options);
    this.#index = options.index ?? DEFAULT_INDEX;
    this.#timeoutMs = options.searchTimeoutMs ?? 1500;
  }

  async search(request: SearchRequest): Promise<SearchPage> {
    const query = readQuery(request.query);
    const after = readPosition(request.after);
    if (request.dictionaryIds?.length === 0 || request.explainers?.length === 0) return none(after?.mode ?? 'words');
    const { state, synonyms } = await this.#state();
    const offset = after?.offset ?? 0;
    if (offset >= MOST_HITS) throw new CallerError('LIMIT_EXCEEDED', `Meilisearch pages through the first ${MOST_HITS} hits: narrow the search`, { field: ['after'] });
    const modes = after === null ? this.#modes(request, query, state) : [after.mode];
    for (const [i, mode] of modes.entries()) {
      const answer = await this.#page(request, query, synonyms, mode, offset);
      if (answer === null) continue;
      if (after !== null) await this.#sameBuilding(after.generation, answer);
      const page = pageOf(answer, request.first, query, mode, offset);
      if (page.hits.length > 0 || i === modes.length - 1) return page;
    }
    return none(modes.at(-1) ?? 'words');
  }

  async facets(filter: SearchFilter, { matched }: { readonly matched: SearchMatched }): Promise<SearchFacets> {
    const query = readQuery(filter.query);
    if (filter.dictionaryIds?.length === 0 || filter.explainers?.length === 0) return { dictionaries: [], explainers: [], exact: true, engine: 'meilisearch' };
    const { synonyms } = await this.#state();
    // Everything is near something: what is counted is what matches by spelling.
    const mode = matched === 'semantic' ? 'similar' : matched;
    const asked = { filter: filterText(filter), matchingStrategy: 'all' };
    const facets = ['dictionaryId', 'explainer'];
    const texts = queryTexts(query, mode, synonyms);
    const [only] = texts;
    const answer =
      texts.length === 1
        ? await this.#ask(Facets, `indexes/${this.#index}/search`, { q: only, ...asked, facets, hitsPerPage: 0 })
        : await this.#ask(Facets, 'multi-search', {
            federation: { limit: 0, facetsByIndex: { [this.#index]: facets }, mergeFacets: { maxValuesPerFacet: 1000 } },
            queries: texts.map((q) => ({ indexUid: this.#index, q, ...asked })),
          });
    const { dictionaryId = {}, explainer = {} } = answer.facetDistribution ?? {};
    return {
      dictionaries: counted(dictionaryId).map(([id, count]) => ({ dictionaryId: Number(id), count })),
      explainers: counted(explainer).slice(0, 100).map(([name, count]) => ({ explainer: name, count })),
      exact: matched === 'words' && synonyms.size === 0,
      engine: 'meilisearch',
    };
  }

  /** Once the index has been built anew, what lies at an offset is something else. */
  async #sameBuilding(generation: string, { hits }: Answer): Promise<void> {
    if (hits.length === 0) this.#known = null;
    const found = hits.length === 0 ? [(await this.#state()).state] : hits;
    if (found.some((one) => one.generation !== generation)) throw rebuilt();
  }

  /** The ways to try, in order, until one finds something. */
  #modes({ prefix }: SearchRequest, query: SearchQuery, state: IndexState): readonly SearchMatched[] {
    if ((prefix === true && query.lastIsWord) || query.star) return ['prefix', 'similar'];
    const words: readonly SearchMatched[] = prefix === null && query.endsInWord ? ['words', 'prefix', 'similar'] : ['words', 'similar'];
    return isPlain(query) && this.#embeds(state) ? ['semantic', ...words] : words;
  }

  #embeds({ vectors }: IndexState): boolean {
    return vectors !== null && vectors.model === this.#options.embedding?.model;
  }

  /** One page and one hit more; null where this way is closed. */
  async #page(request: SearchRequest, query: SearchQuery, synonyms: ReadonlySet<string>, mode: SearchMatched, offset: number): Promise<Answer | null> {
    const limit = request.first + 1;
    const asked = { filter: filterText(request), matchingStrategy: 'all', attributesToRetrieve: FIELDS, showMatchesPosition: true, showRankingScore: true, showRankingScoreDetails: true };
    const path = `indexes/${this.#index}/search`;
    if (mode === 'semantic') {
      const vector = (await this.#options.embedding?.vector(query.words.join(' '))) ?? null;
      if (vector === null && offset > 0) throw new MeiliFailure('the embeddings endpoint that the page before was found with does not answer');
      if (vector === null) return null;
      // The whole list for every page: of equally near ones the server picks others when it is asked for more.
      const nearest = await this.#ask(Hits, path, {
        q: query.words.slice(0, MOST_WORDS).join(' '), ...asked, showRankingScoreDetails: false, limit: NEAREST, vector: [...vector], hybrid: { embedder: EMBEDDER, semanticRatio: SEMANTIC_RATIO },
      }); // prettier-ignore
      return { ...nearest, hits: nearest.hits.slice(offset, offset + limit) };
    }
    const texts = queryTexts(query, mode satisfies WordsMode, synonyms);
    if (texts.length === 1) return this.#ask(Hits, path, { q: texts[0], ...asked, offset, limit });
    return this.#ask(Hits, 'multi-search', { federation: { offset, limit }, queries: texts.map((q) => ({ indexUid: this.#index, q, ...asked })) });
  }

  async #ask<T>(schema: z.ZodType<T>, path: string, body: object): Promise<T> {
    try {
      return await this.#connection.ask('post', schema, { path, body, timeoutMs: this.#timeoutMs });
    } catch (error) {
      this.#known = null;
      throw error;
    }
  }

  async #state(): Promise<Known> {
    if (this.#known !== null && performance.now() < this.#known.until) return this.#known;
    this.#known = null;
    const [state, catalog] = await Promise.all([readState(this.#connection, this.#index, this.#timeoutMs), this.#options.catalog()]);
    if (state === null) throw new MeiliFailure(`there is no index ${this.#index} yet: the command "index" builds it`);
    if (!state.current || state.catalog !== catalog) throw new MeiliFailure(`the index ${this.#index} is of another ${state.current ? 'catalog' : 'version'}: the command "index" builds it anew`);
    this.#known = { state, synonyms: new Set(state.synonyms.flat()), until: performance.now() + STATE_MS };
    return this.#known;
  }
}

/**
 * A page of the answer. What is asked for as it stands, but for a beginning or a synonym, ends where wrong letters begin: the server
 * ranks by them, and cannot be told to leave such hits out.
 */
function pageOf({ hits: found, estimatedTotalHits }: Answer, first: number, { alternatives }: SearchQuery, mode: SearchMatched, offset: number): SearchPage {
  const strict = mode === 'words' || mode === 'prefix';
  const wrong = strict ? found.findIndex((hit) => typosOf(hit) > 0) : -1;
  // Of several alternatives the hits are merged by their scores; there only an answer that begins wrong is none.
  const cut = wrong === 0 || (wrong > 0 && alternatives.length === 1);
  const right = cut ? found.slice(0, wrong) : found;
  const hits = right.slice(0, first).map((hit, at) => hitOf(hit, positionOf({ mode, offset: offset + at + 1, generation: hit.generation })));
  const total = cut ? { value: offset + right.length, exact: true } : { value: estimatedTotalHits, exact: mode === 'words' && estimatedTotalHits < MOST_HITS };
  return { ...none(mode), hits, hasNext: right.length > first, total: mode === 'semantic' ? null : total };
}

function readQuery(typed: string): SearchQuery {
  if (typed.length > MAX_QUERY_LENGTH) throw new CallerError('LIMIT_EXCEEDED', `the query has ${typed.length} characters: expected at most ${MAX_QUERY_LENGTH}`, { field: ['query'] });
  const query = parseQuery(typed);
  if (query.alternatives.length === 0) throw new CallerError('BAD_INPUT', 'the query names nothing to look for: expected at least one word that is not excluded', { field: ['query'] });
  return query;
}

/** Signs in a query ask for exactly what they say; meaning is asked for in plain words. */
function isPlain({ alternatives }: SearchQuery): boolean {
  return alternatives.length === 1 && alternatives.every(({ required, excluded }) => excluded.length === 0 && required.every((words) => words.length === 1));
}

const none = (matched: SearchMatched): SearchPage => ({ hits: [], hasNext: false, matched, order: 'relevance', total: { value: 0, exact: true }, engine: 'meilisearch', fallback: null });
const counted = (values: Readonly<Record<string, number>>): [string, number][] => Object.entries(values).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
const rebuilt = (): CallerError => new CallerError('BAD_CURSOR', 'the search index has been built anew since this cursor was given: begin at the first page', { field: ['after'] });

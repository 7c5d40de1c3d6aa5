import { z } from 'zod';
import type { SearchHit, SearchPosition } from '../../ports/FeatureSearch.ts';
import { highlight } from './highlight.ts';

const i32 = z.number().int().min(0).max(0x7fff_ffff);

const Hit = z.object({
  dictionaryId: i32,
  index: i32,
  explainer: z.string().min(1),
  description: z.string(),
  generation: z.string().max(64),
  _rankingScore: z.number().optional(),
  _federation: z.object({ weightedRankingScore: z.number() }).optional(),
  _rankingScoreDetails: z.object({ typo: z.object({ typoCount: z.number() }).optional() }).optional(),
  _matchesPosition: z.object({ description: z.array(z.object({ start: z.number().int().min(0), length: z.number().int().min(0) })).optional() }).optional(),
});

/** A page of hits, of one query or of several merged. */
export const Hits = z.object({ hits: z.array(Hit), estimatedTotalHits: z.number().int().min(0), semanticHitCount: z.number().int().optional() });

export type Answer = z.infer<typeof Hits>;

export const Facets = z.object({
  facetDistribution: z.object({ dictionaryId: z.record(z.string(), z.number().int().min(0)).optional(), explainer: z.record(z.string(), z.number().int().min(0)).optional() }).optional(),
});

/** What is fetched of a hit. */
export const FIELDS = ['dictionaryId', 'index', 'explainer', 'description', 'generation'];

/** Wrong letters in what matched. */
export const typosOf = (hit: Answer['hits'][number]): number => hit._rankingScoreDetails?.typo?.typoCount ?? 0;

/** Scores lie in [0, 1]; 0 would read as none. */
const LEAST = 1e-9;

export function hitOf(hit: Answer['hits'][number], position: SearchPosition): SearchHit {
  const { dictionaryId, index, explainer, description } = hit;
  const relevance = Math.max(LEAST, hit._federation?.weightedRankingScore ?? hit._rankingScore ?? 0);
  return { dictionaryId, index, explainer, relevance, highlight: highlight(description, hit._matchesPosition?.description ?? []), position };
}

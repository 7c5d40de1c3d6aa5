import type { Pool } from 'pg';
import type { Exemplar, ExemplarKind } from '../../domain/feature.ts';
import type { PatchRun } from '../../domain/patch.ts';
import type { Run } from '../../domain/run.ts';
import type {
  CatalogReader, CircuitRequest, CircuitRows, DictionaryRow, EdgeRow, ExplanationRow, ExplanationSummaryRow, ExplanationTextsRow, FeatureCursor, FeatureFilter,
  FeatureKey, FeatureOrder, FeaturePage, FeatureRow, FeatureTokenRow, ModelRow, NearestRow, OutputEdgeRow, RunCursor, RunPage, ScoreRow, SkipRow, TokenFeaturesRequest, TokenKey,
} from '../../ports/CatalogReader.ts'; // prettier-ignore
import { circuitQuery, circuitRows } from './circuitQuery.ts';
import type { CircuitLevel } from './circuitQuery.ts';
import { DICTIONARIES, DICTIONARIES_BY_ID, dictionaryOf } from './dictionaryRows.ts';
import type { DictionaryCells } from './dictionaryRows.ts';
import { SCORE_GROUPS } from './featureFilter.ts';
import { isScorerOrder, pageQuery } from './featurePage.ts';
import { FEATURE_TOKENS, featureTokenRow, tokenFeaturesQuery } from './featureTokens.ts';
import type { FeatureTokenCells } from './featureTokens.ts';
import type { Prisma, PrismaClient } from './generated/client.ts';
import { NEAREST, nearestRows } from './nearest.ts';
import type { NearestCells } from './nearest.ts';
import { kindCode, kindOf, unpackWindows } from './pack.ts';
import { unpackFragments } from './packFragments.ts';
import { FEATURE_COLUMNS, featureRow, modelRow, patchRunRow, runRow, summaryRow } from './rows.ts';
import type { StoredFeature } from './rows.ts';
import { databaseError } from './transaction.ts';

/**
 * Keys of a batch as rows (dictionary d, index i, place n in the batch). Every read below joins them LATERALly with a
 * LIMIT or on a whole primary key, so that each key is one index range whatever the planner thinks of the table.
 */
const KEYS = 'unnest($1::int[], $2::int[]) WITH ORDINALITY AS k(d, i, n)';

const FEATURES = `SELECT k.n, ${FEATURE_COLUMNS} FROM ${KEYS}
  CROSS JOIN LATERAL (SELECT * FROM feature WHERE dictionary_id = k.d AND "index" = k.i LIMIT 1) f`;

const EXPLANATIONS = `SELECT k.n, e.explainer, e.model, e.prompt_version, e.description, e.run, s.scores FROM ${KEYS}
  CROSS JOIN LATERAL (SELECT explainer, model, prompt_version, description, run FROM explanation WHERE dictionary_id = k.d AND "index" = k.i ORDER BY explainer OFFSET 0) e
  CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(scorer, judge, prompt_version, value, undefined_reason, n, low, high) ORDER BY scorer, judge) AS scores
    FROM score WHERE dictionary_id = k.d AND "index" = k.i AND explainer = e.explainer) s
  ORDER BY k.n, e.explainer`;

const TEXTS = `SELECT k.n, e.explainer, e.fragments, e.judged_on, s.places FROM ${KEYS}
  CROSS JOIN LATERAL (SELECT explainer, fragments, judged_on FROM explanation WHERE dictionary_id = k.d AND "index" = k.i ORDER BY explainer OFFSET 0) e
  CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(scorer, judge, judged_on) ORDER BY scorer, judge) AS places
    FROM score WHERE dictionary_id = k.d AND "index" = k.i AND explainer = e.explainer) s
  ORDER BY k.n, e.explainer`;

const SKIPS = `SELECT k.n, s.explainer, s.reason, s.run FROM ${KEYS}
  CROSS JOIN LATERAL (SELECT explainer, reason, run FROM explanation_skip WHERE dictionary_id = k.d AND "index" = k.i ORDER BY explainer OFFSET 0) s
  ORDER BY k.n, s.explainer`;

const EXEMPLARS = `SELECT k.n, x.kind, x.windows FROM ${KEYS}
  CROSS JOIN LATERAL (SELECT kind, windows FROM exemplar WHERE dictionary_id = k.d AND "index" = k.i AND kind = ANY($3::smallint[]) OFFSET 0) x
  ORDER BY k.n, x.kind`;

const EDGES = (near: 'source' | 'target', far: 'source' | 'target'): string => `SELECT k.n, e.* FROM ${KEYS}
  CROSS JOIN LATERAL (
    SELECT source_dictionary_id, source_index, target_dictionary_id, target_index, effect, standard_error, n AS contexts, run FROM circuit_edge
    WHERE ${near}_dictionary_id = k.d AND ${near}_index = k.i
    ORDER BY strength DESC, ${far}_dictionary_id, ${far}_index LIMIT $3) e
  ORDER BY k.n, abs(e.effect) DESC, e.${far}_dictionary_id, e.${far}_index`;

const OUTPUT_EDGES = `SELECT k.n, e.* FROM ${KEYS}
  CROSS JOIN LATERAL (
    SELECT source_dictionary_id, source_index, token_id, effect, standard_error, n AS contexts, run FROM output_edge
    WHERE source_dictionary_id = k.d AND source_index = k.i ORDER BY strength DESC, token_id LIMIT $3) e
  ORDER BY k.n, abs(e.effect) DESC, e.token_id`;

/** The same by token: models' names for dictionaries. */
const TOKEN_SOURCES = `SELECT k.n, e.* FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS k(model, t, n)
  CROSS JOIN LATERAL (SELECT id FROM model WHERE name = k.model LIMIT 1) m
  CROSS JOIN LATERAL (
    SELECT source_dictionary_id, source_index, token_id, effect, standard_error, n AS contexts, run FROM output_edge
    WHERE model_id = m.id AND token_id = k.t ORDER BY strength DESC, source_dictionary_id, source_index LIMIT $3) e
  ORDER BY k.n, abs(e.effect) DESC, e.source_dictionary_id, e.source_index`;

const TOKENS_NAMED = `SELECT t.id FROM token t JOIN model m ON m.id = t.model_id WHERE m.name = $1 AND t.text = $2 ORDER BY t.id LIMIT $3`;

const TOKENS = `SELECT k.n, t.text FROM unnest($2::int[]) WITH ORDINALITY AS k(id, n)
  JOIN model m ON m.name = $1
  CROSS JOIN LATERAL (SELECT text FROM token WHERE model_id = m.id AND id = k.id LIMIT 1) t`;

type OutputEdgeCells = [string, number, number, number, number, number, number, string];
type ScoreCells = [string, string, string | null, number | null, string | null, number, number | null, number | null];

/** Small tables through Prisma, the big ones by prepared SQL: one statement a batch, at half the cost of findMany. */
export class PostgresReader implements CatalogReader {
  readonly #pool: Pool;
  readonly #prisma: PrismaClient;

  constructor(pool: Pool, prisma: PrismaClient) {
    this.#pool = pool;
    this.#prisma = prisma;
  }

  async models(): Promise<readonly ModelRow[]> {
    return translated(async () => (await this.#prisma.model.findMany({ orderBy: { name: 'asc' } })).map(modelRow));
  }

  async dictionaries({ model, names }: { model?: string; names?: readonly string[] }): Promise<readonly DictionaryRow[]> {
    if (model !== undefined && !isText(model)) return [];
    return (await this.#query<DictionaryCells>('dictionaries', DICTIONARIES, [model ?? null, names?.filter(isText) ?? null])).map(dictionaryOf);
  }

  async dictionariesById(ids: readonly number[]): Promise<readonly (DictionaryRow | null)[]> {
    const rows = await this.#query<DictionaryCells>('dictionaries-by-id', DICTIONARIES_BY_ID, [[...new Set(ids)]]);
    const byId = new Map(rows.map((cells) => [cells[0], dictionaryOf(cells)]));
    return ids.map((id) => byId.get(id) ?? null);
  }

  async features(keys: readonly FeatureKey[]): Promise<readonly (FeatureRow | null)[]> {
    const answer: (FeatureRow | null)[] = keys.map(() => null);
    for (const [n, ...feature] of await this.#batch<[string, ...StoredFeature]>('features', FEATURES, keys)) answer[Number(n) - 1] = featureRow(feature);
    return answer;
  }

  async featurePage(filter: FeatureFilter, order: FeatureOrder, first: number, after: FeatureCursor | null): Promise<FeaturePage> {
    const { score } = filter;
    const groups = score === undefined ? null : (await this.#query<[string]>('score-groups', SCORE_GROUPS, [filter.dictionaryIds, score.scorer, score.judge ?? null, score.explainer ?? null])).map(([id]) => id);
    if (groups?.length === 0) return { rows: [], hasNext: false, values: [] };
    const { text, values } = pageQuery(filter, order, first, after, groups);
    const rows = await this.#query<StoredFeature>(undefined, text, values);
    const page = rows.slice(0, first);
    // The order's value comes after the feature's own columns.
    return { rows: page.map(featureRow), hasNext: rows.length > first, ...(isScorerOrder(order) ? { values: page.map((row) => row.at(-1) as number) } : {}) };
  }

  async explanations(keys: readonly FeatureKey[]): Promise<readonly (readonly ExplanationRow[])[]> {
    const answer: ExplanationRow[][] = keys.map(() => []);
    type Row = [string, string, string | null, string | null, string, string, ScoreCells[] | null];
    for (const [n, explainer, model, promptVersion, description, run, scores] of await this.#batch<Row>('explanations', EXPLANATIONS, keys)) {
      const { dictionaryId, index } = keys[Number(n) - 1]!;
      answer[Number(n) - 1]!.push({ dictionaryId, index, explainer, model, promptVersion, description, run, scores: (scores ?? []).map(scoreOf) });
    }
    return answer;
  }

  async explanationTexts(keys: readonly FeatureKey[]): Promise<readonly (readonly ExplanationTextsRow[])[]> {
    const answer: ExplanationTextsRow[][] = keys.map(() => []);
    type Row = [string, string, Buffer, Buffer[], [string, string, number][] | null];
    for (const [n, explainer, madeFrom, packed, places] of await this.#batch<Row>('explanation-texts', TEXTS, keys)) {
      const { dictionaryId, index } = keys[Number(n) - 1]!;
      const lists = packed.map(unpackFragments);
      const judgedOn = (places ?? []).map(([scorer, judge, place]) => ({ scorer, judge, fragments: lists[place]! }));
      answer[Number(n) - 1]!.push({ dictionaryId, index, explainer, madeFrom: unpackFragments(madeFrom), judgedOn });
    }
    return answer;
  }

  async skips(keys: readonly FeatureKey[]): Promise<readonly (readonly SkipRow[])[]> {
    const answer: SkipRow[][] = keys.map(() => []);
    for (const [n, explainer, reason, run] of await this.#batch<[string, string, string, string]>('skips', SKIPS, keys)) {
      const { dictionaryId, index } = keys[Number(n) - 1]!;
      answer[Number(n) - 1]!.push({ dictionaryId, index, explainer, reason, run });
    }
    return answer;
  }

  async explanationSummaries(dictionaryIds: readonly number[]): Promise<readonly (readonly ExplanationSummaryRow[])[]> {
    return translated(async () => {
      const rows = await this.#prisma.explanationSummary.findMany({ where: { dictionaryId: { in: [...new Set(dictionaryIds)] } }, orderBy: { explainer: 'asc' } });
      const found = Map.groupBy(rows.map(summaryRow), (row) => row.dictionaryId);
      return dictionaryIds.map((id) => found.get(id) ?? []);
    });
  }

  async exemplars(keys: readonly FeatureKey[], kinds: readonly ExemplarKind[], limit: number): Promise<readonly (readonly Exemplar[])[]> {
    const answer: Exemplar[][] = keys.map(() => []);
    const rows = await this.#batch<[string, number, Buffer]>('exemplars', EXEMPLARS, keys, [kinds.map(kindCode)]);
    for (const [n, kind, windows] of rows) answer[Number(n) - 1]!.push(...unpackWindows(windows, kindOf(kind), limit));
    return answer;
  }

  async edges(keys: readonly FeatureKey[], direction: 'incoming' | 'outgoing', limit: number): Promise<readonly (readonly EdgeRow[])[]> {
    const answer: EdgeRow[][] = keys.map(() => []);
    const text = direction === 'incoming' ? EDGES('target', 'source') : EDGES('source', 'target');
    type Row = [string, number, number, number, number, number, number, number, string];
    for (const [n, sourceDictionary, sourceIndex, targetDictionary, targetIndex, effect, standardError, contexts, run] of await this.#batch<Row>(`edges-${direction}`, text, keys, [limit])) {
      answer[Number(n) - 1]!.push({
        source: { dictionaryId: sourceDictionary, index: sourceIndex },
        target: { dictionaryId: targetDictionary, index: targetIndex },
        effect,
        standardError,
        n: contexts,
        run,
      });
    }
    return answer;
  }

  async outputEdges(keys: readonly FeatureKey[], limit: number): Promise<readonly (readonly OutputEdgeRow[])[]> {
    return outputRows(keys.length, await this.#batch<OutputEdgeCells>('output-edges', OUTPUT_EDGES, keys, [limit]));
  }

  async tokenSources(keys: readonly TokenKey[], limit: number): Promise<readonly (readonly OutputEdgeRow[])[]> {
    if (keys.length === 0) return [];
    return outputRows(keys.length, await this.#query<OutputEdgeCells>('token-sources', TOKEN_SOURCES, [keys.map(({ model }) => model), keys.map(({ id }) => id), limit]));
  }

  async featureTokens(keys: readonly FeatureKey[]): Promise<readonly (readonly FeatureTokenRow[])[]> {
    const answer = keys.map((): FeatureTokenRow[] => []);
    for (const cells of await this.#batch<FeatureTokenCells>('feature-tokens', FEATURE_TOKENS, keys)) answer[Number(cells[0]) - 1]!.push(featureTokenRow(cells));
    return answer;
  }

  async nearest(keys: readonly FeatureKey[]): Promise<readonly (readonly NearestRow[])[]> {
    return nearestRows(keys, await this.#batch<NearestCells>('nearest', NEAREST, keys));
  }

  async tokenFeatures(request: TokenFeaturesRequest): Promise<{ readonly rows: readonly FeatureTokenRow[]; readonly hasNext: boolean }> {
    const { name, text, values } = tokenFeaturesQuery(request);
    const rows = await this.#query<FeatureTokenCells>(name, text, values);
    return { rows: rows.slice(0, request.first).map(featureTokenRow), hasNext: rows.length > request.first };
  }

  async circuit(request: CircuitRequest): Promise<CircuitRows> {
    const { name, text, values } = circuitQuery(request);
    return circuitRows(await this.#query<CircuitLevel>(name, text, values), request.limit);
  }

  async tokensNamed(model: string, text: string, limit: number): Promise<readonly number[]> {
    return (await this.#query<[number]>('tokens-named', TOKENS_NAMED, [model, text, limit])).map(([id]) => id);
  }

  async tokens(model: string, ids: readonly number[]): Promise<readonly (string | null)[]> {
    const answer: (string | null)[] = ids.map(() => null);
    if (ids.length === 0) return answer;
    for (const [n, text] of await this.#query<[string, string]>('tokens', TOKENS, [model, ids])) answer[Number(n) - 1] = text;
    return answer;
  }

  async runs(keys: readonly string[]): Promise<readonly (Run | null)[]> {
    return translated(async () => {
      const rows = await this.#prisma.run.findMany({ where: { key: { in: [...new Set(keys)].filter(isText) } } });
      const byKey = new Map(rows.map((row) => [row.key, runRow(row)]));
      return keys.map((key) => byKey.get(key) ?? null);
    });
  }

  async runPage(stage: string | null, first: number, after: RunCursor | null): Promise<RunPage> {
    const beyond: Prisma.RunWhereInput = after === null ? {} : { startedAt: { lte: after.startedAt }, OR: [{ startedAt: { lt: after.startedAt } }, { key: { gt: after.key } }] };
    return translated(async () => {
      const rows = await this.#prisma.run.findMany({ where: { ...(stage === null ? {} : { stage }), ...beyond }, orderBy: [{ startedAt: 'desc' }, { key: 'asc' }], take: first + 1 });
      return { rows: rows.slice(0, first).map(runRow), hasNext: rows.length > first };
    });
  }

  async patchRun(id: string): Promise<PatchRun | null> {
    return translated(async () => {
      const row = await this.#prisma.patchRun.findUnique({ where: { id } });
      return row === null ? null : patchRunRow(row);
    });
  }

  /** The id is a hash of the content: saving the same run again changes nothing. */
  async savePatchRun(run: PatchRun): Promise<boolean> {
    const data = { ...run, input: run.input as unknown as Prisma.InputJsonValue, result: run.result as unknown as Prisma.InputJsonValue };
    const { count } = await translated(() => this.#prisma.patchRun.createMany({ data: [data], skipDuplicates: true }));
    return count === 1;
  }

  async healthy(): Promise<boolean> {
    // A connection that was cut while idle fails once, and is then replaced.
    const answers = (): Promise<boolean> => this.#pool.query('SELECT 1').then(() => true, () => false);
    return (await answers()) || (await answers());
  }

  async #batch<Row>(name: string, text: string, keys: readonly FeatureKey[], more: readonly unknown[] = []): Promise<readonly Row[]> {
    if (keys.length === 0) return [];
    return this.#query<Row>(name, text, [keys.map((key) => key.dictionaryId), keys.map((key) => key.index), ...more]);
  }

  /** `name`: prepared once per connection under this name. */
  async #query<Row>(name: string | undefined, text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    const query = { text, values: [...values], rowMode: 'array' as const };
    return translated(async () => (await this.#pool.query(name === undefined ? query : { ...query, name })).rows as Row[]);
  }
}

/** Rows (place in the batch from 1, cells) as a list of edges a key. */
function outputRows(keys: number, rows: readonly OutputEdgeCells[]): OutputEdgeRow[][] {
  const answer: OutputEdgeRow[][] = Array.from({ length: keys }, () => []);
  for (const [n, dictionaryId, index, tokenId, effect, standardError, contexts, run] of rows) {
    answer[Number(n) - 1]!.push({ source: { dictionaryId, index }, tokenId, effect, standardError, n: contexts, run });
  }
  return answer;
}

function scoreOf([scorer, judge, promptVersion, value, undefinedReason, n, low, high]: ScoreCells): ScoreRow {
  return { scorer, judge, promptVersion, value, undefinedReason, n, low, high };
}

/** Whether PostgreSQL's type text can hold it. What it cannot hold is in no row. */
function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw databaseError(error);
  }
}

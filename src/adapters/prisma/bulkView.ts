import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { CircuitEdge, Explanation, FragmentRef, OutputEdge, Score } from '../../domain/feature.ts';
import type { PatchRun } from '../../domain/patch.ts';
import type { BulkDictionary, BulkNearest, BulkPerson, BulkSkip, BulkView, OfRun } from '../../ports/CatalogBulk.ts';
import type { Dictionary, ExplanationSummary, Model, PatchRun as StoredPatchRun, Run as StoredRun } from './generated/client.ts';
import { kindOf, unpackNeighbours, unpackWindows } from './pack.ts';
import { unpackFragments } from './packFragments.ts';
import { FEATURE_COLUMNS, dictionaryRow, featureRow, modelRow, patchRunRow, runRow, summaryRow, type StoredFeature } from './rows.ts';

const DICTIONARY = `SELECT d.id, d.model_id AS "modelId", d.name, d.hook_point AS "hookPoint", d.output_hook_point AS "outputHookPoint", d.layer, d.architecture, d.d_in AS "dIn",
  d.n_features AS "nFeatures", d.k, d.l1, d.input_scale AS "inputScale", d.weights_hash AS "weightsHash", d.location, d.fvu, d.l0, d.alive_share AS "aliveShare",
  d.quality_vectors AS "qualityVectors", d.train_run AS "trainRun", d.analyse_run AS "analyseRun", d.tokens_analysed AS "tokensAnalysed", d.created_at AS "createdAt"
  FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = $1 AND d.name = $2`;

const MODEL = `SELECT id, name, architecture, layers, d_model AS "dModel", vocab_size AS "vocabSize", context_length AS "contextLength", parameters,
  weights_hash AS "weightsHash", tokenizer_hash AS "tokenizerHash", source, restricted FROM model WHERE id = $1`;

const OF_THESE = 'dictionary_id = $1 AND "index" = ANY($2::int[])';

const BY_MACHINE = `explainer NOT LIKE 'person/%'`;

const EXPLANATIONS = `SELECT "index", explainer, model, prompt_version AS "promptVersion", description, detail, run, fragments, judged_on AS "judgedOn"
  FROM explanation WHERE ${OF_THESE} AND ${BY_MACHINE} ORDER BY "index", explainer COLLATE "C"`;

const PEOPLE = `SELECT "index", explainer, description, detail->>'owner' AS owner, detail->>'weightsHash' AS "weightsHash"
  FROM (SELECT * FROM explanation WHERE ${OF_THESE} AND NOT ${BY_MACHINE} OFFSET 0) e ORDER BY "index", explainer COLLATE "C"`;

const SCORES = `SELECT "index", explainer, scorer, judge, prompt_version AS "promptVersion", value, undefined_reason AS "undefinedReason", n, low, high, judged_on AS "judgedOn"
  FROM score WHERE ${OF_THESE} ORDER BY "index", explainer COLLATE "C", scorer COLLATE "C", judge COLLATE "C"`;

const EDGES = `SELECT s.name AS "sourceDictionary", e.source_index AS "sourceIndex", t.name AS "targetDictionary", e.target_index AS "targetIndex", e.effect, e.standard_error AS "standardError", e.n, e.run
  FROM circuit_edge e JOIN dictionary s ON s.id = e.source_dictionary_id JOIN dictionary t ON t.id = e.target_dictionary_id
  WHERE e.target_dictionary_id = $1 AND e.target_index = ANY($2::int[]) ORDER BY e.target_index, s.name COLLATE "C", e.source_index`;

const OUTPUTS = `SELECT d.name AS "sourceDictionary", e.source_index AS "sourceIndex", e.token_id AS "tokenId", coalesce(t.text, '') AS token, e.effect, e.standard_error AS "standardError", e.n, e.run
  FROM output_edge e JOIN dictionary d ON d.id = e.source_dictionary_id LEFT JOIN token t ON t.model_id = e.model_id AND t.id = e.token_id
  WHERE e.source_dictionary_id = $1 AND e.source_index = ANY($2::int[]) ORDER BY e.source_index, e.token_id`;

const NEAREST = `SELECT x."index", t.name AS "targetDictionary", t.weights_hash AS "targetWeightsHash", p.run, x.entries FROM nearest_feature x
  JOIN nearest_pair p USING (dictionary_id, target_dictionary_id) JOIN dictionary s ON s.id = x.dictionary_id AND s.weights_hash = p.weights_hash
  JOIN dictionary t ON t.id = x.target_dictionary_id AND t.weights_hash = p.target_weights_hash
  WHERE x.dictionary_id = $1 AND x."index" = ANY($2::int[]) ORDER BY x."index", t.name COLLATE "C"`;

const EXPLAINERS = `SELECT explainer, min(run) AS run FROM (SELECT explainer, run FROM explanation WHERE ${OF_THESE} AND ${BY_MACHINE} UNION ALL SELECT explainer, run FROM explanation_skip WHERE ${OF_THESE}) x
  GROUP BY explainer ORDER BY explainer COLLATE "C"`;

// By the text of the JSON, in any column: a U+0000 in a prompt is no text that PostgreSQL would look into. Which are meant is seen here.
const PATCHES = `SELECT id, input, result, weights_hash AS "weightsHash", code_version AS "codeVersion", created_at AS "createdAt", milliseconds FROM patch_run
  WHERE id > $3 AND strpos(input::text, $1) > 0 AND strpos(input::text, $2) > 0 ORDER BY id LIMIT $4`;

const RUNS = `SELECT key, stage, params, inputs, seed, code_version AS "codeVersion", started_at AS "startedAt", finished_at AS "finishedAt", metrics FROM run WHERE key = ANY($1) ORDER BY key COLLATE "C"`;

type ExplanationCells = Omit<OfRun<Explanation>, 'fragments' | 'scores'> & { readonly fragments: Buffer; readonly judgedOn: readonly Buffer[] };
type ScoreCells = Omit<Explanation['scores'][number], 'fragments'> & { readonly index: number; readonly explainer: string; readonly judgedOn: number };

function scoreOf({ scorer, judge, promptVersion, value, undefinedReason, n, low, high, judgedOn }: ScoreCells, lists: readonly (readonly FragmentRef[])[]): Score {
  return { scorer, judge, promptVersion, value, undefinedReason, n, low, high, fragments: lists[judgedOn]! };
}

/** Inside the caller's transaction, whose snapshot is what the view shows. */
export async function bulkView(client: PoolClient, modelName: string, name: string): Promise<BulkView> {
  const all = async <Row>(text: string, values: readonly unknown[]): Promise<Row[]> => (await client.query({ text, values: [...values] })).rows as Row[];
  const [stored] = await all<Dictionary>(DICTIONARY, [modelName, name]);
  if (stored === undefined) throw new CallerError('NOT_FOUND', `the catalog has no dictionary ${modelName}/${name}`);
  const [storedModel] = await all<Model>(MODEL, [stored.modelId]);
  const { id: dictionaryId, ...row } = dictionaryRow({ ...stored, model: { name: modelName } });
  const dictionary: BulkDictionary = { ...row, inputScale: stored.inputScale };
  const ofThese = <Row>(text: string, indices: readonly number[]): Promise<Row[]> => all<Row>(text, [dictionaryId, indices]);
  return {
    model: { ...modelRow(storedModel!), restricted: storedModel!.restricted },
    dictionary,
    async indices(from, to, { minScore, explained }) {
      const rows = await all<{ index: number }>(
        `SELECT "index" FROM feature WHERE dictionary_id = $1 AND "index" >= $2 AND "index" < $3 AND ($4::float8 IS NULL OR best_score >= $4) AND ($5::boolean IS NULL OR explained = $5) ORDER BY "index"`,
        [dictionaryId, from, to, minScore ?? null, explained ?? null],
      );
      return rows.map(({ index }) => index);
    },
    async features(indices) {
      const { rows } = await client.query({ text: `SELECT ${FEATURE_COLUMNS} FROM feature f WHERE ${OF_THESE} ORDER BY "index"`, values: [dictionaryId, [...indices]], rowMode: 'array' as const });
      return (rows as StoredFeature[]).map((cells) => {
        const { dictionaryId: _, bestScore: __, ...feature } = featureRow(cells);
        return feature;
      });
    },
    async exemplars(indices) {
      const rows = await ofThese<{ index: number; kind: number; windows: Buffer }>(`SELECT "index", kind, windows FROM exemplar WHERE ${OF_THESE} ORDER BY "index", kind`, indices);
      return rows.map(({ index, kind, windows }) => ({ index, exemplars: unpackWindows(windows, kindOf(kind), Number.POSITIVE_INFINITY) }));
    },
    async explanations(indices) {
      const rows = await ofThese<ExplanationCells>(EXPLANATIONS, indices);
      const scores = Map.groupBy(await ofThese<ScoreCells>(SCORES, indices), ({ index, explainer }) => `${index} ${explainer}`);
      return rows.map(({ judgedOn, fragments, ...explanation }) => {
        const lists = judgedOn.map(unpackFragments);
        const own = scores.get(`${explanation.index} ${explanation.explainer}`) ?? [];
        return { ...explanation, fragments: unpackFragments(fragments), scores: own.map((score) => scoreOf(score, lists)) };
      });
    },
    skips: (indices) => ofThese<OfRun<BulkSkip>>(`SELECT "index", explainer, reason, run FROM explanation_skip WHERE ${OF_THESE} ORDER BY "index", explainer COLLATE "C"`, indices),
    people: (indices) => ofThese<BulkPerson>(PEOPLE, indices),
    explainers: (indices) => ofThese(EXPLAINERS, indices),
    edges: (indices) => ofThese<OfRun<CircuitEdge>>(EDGES, indices),
    outputs: (indices) => ofThese<OfRun<OutputEdge>>(OUTPUTS, indices),
    async nearest(indices) {
      const rows = await ofThese<Omit<OfRun<BulkNearest>, 'neighbours'> & { readonly entries: Buffer }>(NEAREST, indices);
      return rows.map(({ entries, ...row }) => ({ ...row, neighbours: unpackNeighbours(entries) }));
    },
    async summaries() {
      const rows = await all<ExplanationSummary>(`SELECT dictionary_id AS "dictionaryId", explainer, run, features, explained, skips, scores FROM explanation_summary WHERE dictionary_id = $1 ORDER BY explainer COLLATE "C"`, [dictionaryId]);
      return rows.map((summary) => {
        const { dictionaryId: _, ...rest } = summaryRow(summary);
        return rest;
      });
    },
    runs: async (keys) => (await all<StoredRun>(RUNS, [keys])).map(runRow),
    async tokens() {
      const rows = await all<{ id: number; text: string }>('SELECT id, text FROM token WHERE model_id = $1 ORDER BY id', [stored.modelId]);
      const texts: string[] = [];
      for (const { id, text } of rows) texts[id] = text;
      return Array.from(texts, (text: string | undefined) => text ?? '');
    },
    async patches(after, limit) {
      const found: PatchRun[] = [];
      for (let last = after; found.length < limit; ) {
        const wanted = limit - found.length;
        const rows = (await all<StoredPatchRun>(PATCHES, [JSON.stringify(modelName), JSON.stringify(name), last, wanted])).map(patchRunRow);
        found.push(...rows.filter(({ input }) => input.features.some(({ feature }) => feature.model === modelName && feature.dictionary === name)));
        if (rows.length < wanted) break;
        last = rows.at(-1)!.id;
      }
      return found;
    },
    knownPatches: async (ids) => (await all<{ n: number }>('SELECT count(*)::int AS n FROM patch_run WHERE id = ANY($1)', [ids]))[0]!.n,
  };
}

import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { kindOf, unpackWindows } from '../../../src/adapters/prisma/pack.ts';

const BATCH = 500;

/**
 * What a PostGraphile user would have: views over the catalog's own tables, keys declared; exemplars unpacked into a table, one row each with
 * arrays of texts and activations, clustered by its key; functions for the filtered page and for search.
 */
const VIEWS = `
CREATE VIEW peer.dictionary AS SELECT id, name, layer FROM public.dictionary;
CREATE VIEW peer.feature AS SELECT dictionary_id, "index", density, max_activation, mean_activation, best_score FROM public.feature;
CREATE VIEW peer.explanation AS SELECT dictionary_id, "index", explainer, description FROM public.explanation;
CREATE VIEW peer.score AS SELECT dictionary_id, "index", explainer, scorer, judge, value, n, low, high FROM public.score;
CREATE VIEW peer.edge AS SELECT target_dictionary_id, target_index, source_dictionary_id, source_index, effect, strength, standard_error, n FROM public.circuit_edge;
COMMENT ON VIEW peer.dictionary IS E'@primaryKey id\\n@unique name';
COMMENT ON VIEW peer.feature IS E'@primaryKey dictionary_id,index\\n@foreignKey (dictionary_id) references peer.dictionary (id)|@fieldName dictionary';
COMMENT ON VIEW peer.explanation IS E'@primaryKey dictionary_id,index,explainer\\n@foreignKey (dictionary_id, index) references peer.feature (dictionary_id, index)|@foreignFieldName explanations|@foreignSimpleFieldName explanations';
COMMENT ON VIEW peer.score IS E'@primaryKey dictionary_id,index,explainer,scorer,judge\\n@foreignKey (dictionary_id, index, explainer) references peer.explanation (dictionary_id, index, explainer)|@foreignSimpleFieldName scores';
COMMENT ON VIEW peer.edge IS E'@primaryKey target_dictionary_id,target_index,source_dictionary_id,source_index\\n@foreignKey (target_dictionary_id, target_index) references peer.feature (dictionary_id, index)|@fieldName target|@foreignSimpleFieldName incoming\\n@foreignKey (source_dictionary_id, source_index) references peer.feature (dictionary_id, index)|@fieldName source|@foreignSimpleFieldName outgoing';
COMMENT ON TABLE peer.exemplar IS E'@foreignKey (dictionary_id, index) references peer.feature (dictionary_id, index)|@foreignSimpleFieldName exemplars';

CREATE FUNCTION peer.feature_page(of_dictionary text, lowest float8, most int) RETURNS SETOF peer.feature LANGUAGE sql STABLE AS $$
  SELECT f.* FROM peer.feature f WHERE f.dictionary_id = (SELECT id FROM public.dictionary WHERE name = of_dictionary) AND f.max_activation >= lowest
  ORDER BY f.dictionary_id, f.density DESC, f."index" LIMIT most
$$;
COMMENT ON FUNCTION peer.feature_page IS '@behavior +queryField:resource:list';

CREATE FUNCTION peer.search_explanations(words text, most int) RETURNS SETOF peer.found LANGUAGE sql STABLE AS $$
  SELECT dictionary_id, "index", explainer, ts_headline('feature_text', description, query, 'HighlightAll=true, StartSel=<mark>, StopSel=</mark>') FROM (
    SELECT e.dictionary_id, e."index", e.explainer, e.description, q.query
    FROM websearch_to_tsquery('feature_text', words) q(query), public.explanation e
    WHERE e.search @@ q.query ORDER BY ts_rank(e.search, q.query) DESC, e.best_score DESC NULLS LAST LIMIT most) best
$$;
COMMENT ON TYPE peer.found IS E'@foreignKey (dictionary_id, index) references peer.feature (dictionary_id, index)|@fieldName feature';
`;

const TABLE = `CREATE TABLE peer.exemplar (dictionary_id int NOT NULL, "index" int NOT NULL, kind smallint NOT NULL, rank int NOT NULL, "row" int NOT NULL, start int NOT NULL,
  max_activation float4 NOT NULL, texts text[] NOT NULL, activations float4[] NOT NULL)`;

/** Builds the schema `peer` unless it is there. */
export async function buildPeer(client: Client): Promise<void> {
  const { rows: there } = await client.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'peer'`);
  if (there.length > 0) return;
  await client.query('BEGIN');
  await client.query('CREATE SCHEMA peer');
  await client.query(TABLE);
  await client.query('CREATE TYPE peer.found AS (dictionary_id int, "index" int, explainer text, highlight text)');
  await copyExemplars(client);
  await client.query('ALTER TABLE peer.exemplar ADD PRIMARY KEY (dictionary_id, "index", kind, rank)');
  await client.query(VIEWS);
  await client.query('COMMIT');
  await client.query('VACUUM ANALYZE peer.exemplar');
}

async function copyExemplars(client: Client): Promise<void> {
  const { rows: tokens } = await client.query<{ text: string }>('SELECT text FROM token ORDER BY id');
  const texts = tokens.map(({ text }) => quoted(text));
  const { rows: dictionaries } = await client.query<{ id: number; n: number }>('SELECT id, n_features AS n FROM dictionary ORDER BY id');
  for (const { id, n } of dictionaries) {
    for (let from = 0; from < n; from += BATCH) {
      const { rows } = await client.query<{ index: number; kind: number; windows: Buffer }>(
        'SELECT "index", kind, windows FROM exemplar WHERE dictionary_id = $1 AND "index" >= $2 AND "index" < $3 ORDER BY "index", kind', [id, from, from + BATCH]);
      const lines = rows.flatMap(({ index, kind, windows }) =>
        unpackWindows(windows, kindOf(kind), Infinity).map(({ rank, row, start, maxActivation, ids, activations }) =>
          `${[id, index, kind, rank, row, start, maxActivation].join('\t')}\t{${ids.map((token) => texts[token]!).join(',')}}\t{${activations.join(',')}}\n`));
      const stream = client.query(copyFrom('COPY peer.exemplar FROM STDIN'));
      if (!stream.write(lines.join(''))) await once(stream, 'drain');
      stream.end();
      await finished(stream);
    }
  }
}

/** As an element of an array in COPY's text format. The bench's tokens hold letters and spaces alone. */
function quoted(text: string): string {
  if (!/^[\w ]+$/.test(text)) throw new Error(`token ${JSON.stringify(text)}: expected letters and spaces`);
  return `"${text}"`;
}

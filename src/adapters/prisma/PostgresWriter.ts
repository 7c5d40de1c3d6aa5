import type { Pool, PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { CircuitEdge, Explanation } from '../../domain/feature.ts';
import type { Run } from '../../domain/run.ts';
import type { ModelRow } from '../../ports/CatalogReader.ts';
import type { CatalogWriter, DictionaryLoad, DictionaryTarget, ExplanationsLoad, FeatureSkip } from '../../ports/CatalogWriter.ts';
import { addExplanations } from './addExplanations.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { loadDictionary } from './loadDictionary.ts';
import type { Counts } from './loadDictionary.ts';
import { finite, natural } from './pack.ts';
import { saveExplanation, saveSkip } from './saveExplanation.ts';
import { transaction } from './transaction.ts';
import { saveRun } from './writeExplanations.ts';
import type { ExplainedCounts } from './writeExplanations.ts';

const I32 = 0x7fff_ffff;

/** Bulk loads by binary COPY: each method is one transaction. Uses one connection of the pool at a time, which its owner ends. */
export class PostgresWriter implements CatalogWriter {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async loadModel(model: ModelRow, tokens: readonly string[]): Promise<void> {
    await transaction(this.#pool, async (client) => {
      const { rows } = await client.query<{ id: number }>(
        `INSERT INTO model (name, architecture, layers, d_model, vocab_size, context_length, parameters, weights_hash, tokenizer_hash, source)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (name) DO UPDATE SET (architecture, layers, d_model, vocab_size, context_length, parameters, weights_hash, tokenizer_hash, source)
           = (excluded.architecture, excluded.layers, excluded.d_model, excluded.vocab_size, excluded.context_length, excluded.parameters,
              excluded.weights_hash, excluded.tokenizer_hash, excluded.source)
         RETURNING id`,
        [model.name, model.architecture, model.layers, model.dModel, model.vocabSize, model.contextLength, model.parameters, model.weightsHash, model.tokenizerHash, model.source],
      );
      const { id } = rows[0]!;
      await client.query('DELETE FROM token WHERE model_id = $1', [id]);
      const lane = new CopyLane(client);
      const table = new CopyTable(lane, 'token', ['model_id', 'id', 'text']);
      for (const [token, text] of tokens.entries()) {
        table.row();
        table.int4(id);
        table.int4(token);
        table.text(text);
        await table.flushIfFull();
      }
      await table.flush();
      await lane.idle();
    });
  }

  async loadDictionary(load: DictionaryLoad): Promise<Counts> {
    const counts = await transaction(this.#pool, (client) => loadDictionary(client, load));
    await this.#settle(counts.features);
    return counts;
  }

  async loadExplanations(target: DictionaryTarget, load: ExplanationsLoad): Promise<ExplainedCounts> {
    const counts = await transaction(this.#pool, (client) => addExplanations(client, target, load));
    await this.#settle(counts.explanations);
    return counts;
  }

  async saveExplanation(target: DictionaryTarget, run: Run, explanation: Explanation): Promise<void> {
    await transaction(this.#pool, (client) => saveExplanation(client, target, run, explanation));
  }

  async saveSkip(target: DictionaryTarget, run: Run, skip: FeatureSkip): Promise<void> {
    await transaction(this.#pool, (client) => saveSkip(client, target, run, skip));
  }

  async loadEdges(model: string, run: Run, edges: AsyncIterable<CircuitEdge> | Iterable<CircuitEdge>, among?: readonly string[]): Promise<number> {
    return transaction(this.#pool, async (client) => {
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`edges ${model}`]);
      await saveRun(client, run);
      const dictionaries = await dictionariesOf(client, model);
      const replaced = among ?? [...dictionaries.keys()];
      const ids = replaced.flatMap((name) => dictionaries.get(name)?.id ?? []);
      await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = ANY($1) AND source_dictionary_id = ANY($1)', [ids]);
      const lane = new CopyLane(client);
      const table = new CopyTable(lane, 'circuit_edge', [
        'target_dictionary_id', 'target_index', 'source_dictionary_id', 'source_index', 'effect', 'strength', 'standard_error', 'n', 'run',
      ]); // prettier-ignore
      const place = (name: string, index: number): void => {
        const dictionary = dictionaries.get(name);
        if (dictionary === undefined) throw new CallerError('NOT_FOUND', `an edge names dictionary ${model}/${name}, which the catalog does not have: load it first`);
        if (!replaced.includes(name)) throw new CallerError('BAD_INPUT', `an edge names dictionary ${model}/${name}: expected one of ${replaced.join(', ')}`);
        table.int4(dictionary.id);
        table.int4(natural(index, dictionary.features - 1, `feature of an edge in ${model}/${name}`));
      };
      for await (const edge of edges) {
        const what = `edge ${edge.sourceDictionary}/${edge.sourceIndex} to ${edge.targetDictionary}/${edge.targetIndex}`;
        table.row();
        place(edge.targetDictionary, edge.targetIndex);
        place(edge.sourceDictionary, edge.sourceIndex);
        table.float8(finite(edge.effect, `effect of ${what}`));
        table.float8(Math.abs(edge.effect));
        table.float8(finite(edge.standardError, `standard error of ${what}`));
        table.int4(natural(edge.n, I32, `n of ${what}`));
        table.text(run.key);
        await table.flushIfFull();
      }
      await table.flush();
      await lane.idle();
      return table.rows;
    });
  }

  /** Nothing of its own to close: the connections are the catalog's. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** After a load: merges what GIN indices have put off, and counts rows again where the planner's idea is far too small. */
  async #settle(rows: number): Promise<void> {
    await this.#pool.query(`SELECT gin_clean_pending_list('explanation_search_idx'), gin_clean_pending_list('explanation_word_trigram_idx')`);
    const { rows: known } = await this.#pool.query<{ known: number }>(`SELECT min(reltuples)::float8 AS known FROM pg_class WHERE oid IN ('feature'::regclass, 'explanation'::regclass)`);
    if (known[0]!.known < rows) await this.#pool.query('ANALYZE feature, exemplar, explanation, explanation_word, explanation_skip, score, token, dictionary');
  }
}

async function dictionariesOf(client: PoolClient, model: string): Promise<Map<string, { id: number; features: number }>> {
  const { rows } = await client.query<{ id: number; name: string; features: number }>(
    `SELECT d.id, d.name, d.n_features AS features FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = $1`,
    [model],
  );
  return new Map(rows.map(({ id, name, features }) => [name, { id, features }]));
}

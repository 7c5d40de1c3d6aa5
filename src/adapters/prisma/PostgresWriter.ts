import type { Pool, PoolClient } from 'pg';
import type { Explanation } from '../../domain/feature.ts';
import type { Run } from '../../domain/run.ts';
import type { ModelRow } from '../../ports/CatalogReader.ts';
import type { CatalogWriter, CircuitCounts, CircuitsLoad, DictionaryLoad, DictionaryTarget, ExplanationsLoad, FeatureSkip } from '../../ports/CatalogWriter.ts';
import { addExplanations } from './addExplanations.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { loadCircuits } from './loadCircuits.ts';
import { loadDictionary } from './loadDictionary.ts';
import type { Counts } from './loadDictionary.ts';
import { saveExplanation, saveSkip } from './saveExplanation.ts';
import { transaction } from './transaction.ts';
import type { ExplainedCounts } from './writeExplanations.ts';

/** Bulk loads by binary COPY: each method is one transaction. Uses one connection of the pool at a time, which its owner ends. */
export class PostgresWriter implements CatalogWriter {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async loadModel(model: ModelRow, tokens: readonly string[]): Promise<void> {
    await transaction(this.#pool, async (client) => {
      await forgetCircuits(client, model);
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

  async loadCircuits(model: string, circuits: readonly CircuitsLoad[], among?: readonly string[]): Promise<CircuitCounts> {
    return transaction(this.#pool, (client) => loadCircuits(client, model, circuits, among));
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

/** Edges are measured on a model: with other weights, or other tokens, those in the catalog no longer hold. */
async function forgetCircuits(client: PoolClient, { name, weightsHash, tokenizerHash }: ModelRow): Promise<void> {
  const { rows } = await client.query<{ id: number }>('SELECT id FROM model WHERE name = $1 AND (weights_hash, tokenizer_hash) <> ($2, $3)', [name, weightsHash, tokenizerHash]);
  for (const { id } of rows) {
    await client.query('DELETE FROM output_edge WHERE model_id = $1', [id]);
    await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = ANY(ARRAY(SELECT id FROM dictionary WHERE model_id = $1))', [id]);
    await client.query('UPDATE feature SET edges = 0 WHERE dictionary_id = ANY(ARRAY(SELECT id FROM dictionary WHERE model_id = $1)) AND edges <> 0', [id]);
  }
}

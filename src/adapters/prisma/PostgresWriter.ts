import type { Pool } from 'pg';
import type { Explanation } from '../../domain/feature.ts';
import type { Run } from '../../domain/run.ts';
import type { ModelRow } from '../../ports/CatalogReader.ts';
import type { CatalogWriter, CircuitCounts, CircuitsLoad, DictionaryLoad, DictionaryTarget, ExplanationsLoad, FeatureSkip, NearestCounts, NearestLoad } from '../../ports/CatalogWriter.ts';
import { addExplanations } from './addExplanations.ts';
import { loadCircuits } from './loadCircuits.ts';
import { loadNearest } from './nearest.ts';
import { loadDictionary } from './loadDictionary.ts';
import type { Counts } from './loadDictionary.ts';
import { loadModel } from './loadModel.ts';
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
    await transaction(this.#pool, (client) => loadModel(client, model, tokens));
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

  async loadNearest(model: string, pairs: readonly NearestLoad[]): Promise<NearestCounts> {
    return transaction(this.#pool, (client) => loadNearest(client, model, pairs));
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

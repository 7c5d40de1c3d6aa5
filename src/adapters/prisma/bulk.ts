import { Pool } from 'pg';
import type { CatalogBulk } from '../../ports/CatalogBulk.ts';
import { restoreDictionary, restoreMeasured } from './bulkRestore.ts';
import { bulkView } from './bulkView.ts';
import { transaction } from './transaction.ts';

/** One that reads and one that writes. */
const CONNECTIONS = 2;

/** The CatalogBulk port on the PostgreSQL at `url`, whose tables are there. `close` ends its connections. */
export function openBulk(url: string): CatalogBulk & { close(): Promise<void> } {
  const pool = new Pool({ connectionString: url, max: CONNECTIONS, allowExitOnIdle: true });
  // An idle connection that the server cuts is replaced at the next query, which reports what is wrong if anything is.
  pool.on('error', () => undefined);
  return {
    view: (model, dictionary, work) =>
      transaction(pool, async (client) => {
        await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
        return work(await bulkView(client, model, dictionary));
      }),
    async restore(load) {
      const counts = await transaction(pool, (client) => restoreDictionary(client, load));
      await pool.query(`SELECT gin_clean_pending_list('explanation_search_idx'), gin_clean_pending_list('explanation_word_trigram_idx')`);
      await pool.query('ANALYZE feature, exemplar, feature_token, explanation, explanation_word, explanation_skip, score, token, dictionary');
      return counts;
    },
    async restoreMeasured(load) {
      const counts = await transaction(pool, (client) => restoreMeasured(client, load));
      await pool.query('ANALYZE feature, circuit_edge, output_edge, nearest_feature');
      return counts;
    },
    close: () => pool.end(),
  };
}

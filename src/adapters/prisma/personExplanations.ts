import type { Pool } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import { wordsOf } from '../../domain/words.ts';
import type { Annotations, PersonExplanation } from '../../ports/Annotations.ts';
import { databaseError, transaction } from './transaction.ts';
import { saveWords } from './writeExplanations.ts';

/** In place of the key of a run: a person wrote it. No run has this key. */
export const NO_RUN = 'person';

/** Explanations by people are rows beside those of machines, so that search and every reader find them; their detail says whose they are, and of which weights. */
export function personExplanations(pool: Pool): Pick<Annotations, 'explanations' | 'saveExplanation' | 'deleteExplanation'> {
  return {
    async explanations(keys) {
      const answer: PersonExplanation[][] = keys.map(() => []);
      try {
        const { rows } = await pool.query<PersonExplanation & { n: string }>(
          `SELECT k.n, e.dictionary_id AS "dictionaryId", e."index", e.explainer, e.description, e.detail->>'owner' AS owner, e.detail->>'weightsHash' AS "weightsHash"
           FROM unnest($1::int[], $2::int[]) WITH ORDINALITY AS k(d, i, n)
           CROSS JOIN LATERAL (SELECT * FROM explanation WHERE dictionary_id = k.d AND "index" = k.i AND explainer LIKE 'person/%' ORDER BY explainer OFFSET 0) e ORDER BY k.n, e.explainer`,
          [keys.map((key) => key.dictionaryId), keys.map((key) => key.index)],
        );
        for (const { n, ...row } of rows) answer[Number(n) - 1]!.push(row);
        return answer;
      } catch (error) {
        throw databaseError(error);
      }
    },
    async saveExplanation({ dictionaryId, index, explainer, description, owner, weightsHash }) {
      await transaction(pool, async (client) => {
        const { rowCount } = await client.query('UPDATE feature SET explained = true WHERE dictionary_id = $1 AND "index" = $2', [dictionaryId, index]);
        if (rowCount === 0) throw new CallerError('NOT_FOUND', 'the feature was replaced meanwhile: ask again', { field: ['feature'] });
        await client.query(
          `INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, model, prompt_version, fragments, judged_on)
           VALUES ($1, $2, $3, $4, $5, '${NO_RUN}', NULL, NULL, '', '{}')
           ON CONFLICT (dictionary_id, "index", explainer) DO UPDATE SET (description, detail) = (excluded.description, excluded.detail)`,
          [dictionaryId, index, explainer, description, JSON.stringify({ owner, weightsHash })],
        );
        await saveWords(client, new Set(wordsOf(description)));
      });
    },
    async deleteExplanation({ dictionaryId, index }, explainer) {
      await transaction(pool, async (client) => {
        await client.query('DELETE FROM explanation WHERE dictionary_id = $1 AND "index" = $2 AND explainer = $3', [dictionaryId, index, explainer]);
        await client.query(
          `UPDATE feature SET explained = EXISTS (SELECT 1 FROM explanation WHERE dictionary_id = $1 AND "index" = $2) WHERE dictionary_id = $1 AND "index" = $2`,
          [dictionaryId, index],
        );
      });
    },
  };
}

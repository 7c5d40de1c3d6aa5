import type { PoolClient } from 'pg';
import type { ModelRow } from '../../ports/CatalogReader.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { lockEdges } from './edgeFlags.ts';

/** Inside the caller's transaction: a model, and the texts of its vocabulary by id, in place of what the catalog had. Who may read it stays. */
export async function loadModel(client: PoolClient, model: ModelRow, tokens: Iterable<string> | AsyncIterable<string>): Promise<void> {
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
  let token = 0;
  for await (const text of tokens) {
    table.row();
    table.int4(id);
    table.int4(token++);
    table.text(text);
    await table.flushIfFull();
  }
  await table.flush();
  await lane.idle();
}

/** Edges are measured on a model: with other weights, or other tokens, those in the catalog no longer hold. */
async function forgetCircuits(client: PoolClient, { name, weightsHash, tokenizerHash }: ModelRow): Promise<void> {
  const { rows } = await client.query<{ id: number }>('SELECT id FROM model WHERE name = $1 AND (weights_hash, tokenizer_hash) <> ($2, $3)', [name, weightsHash, tokenizerHash]);
  for (const { id } of rows) {
    await lockEdges(client, name, 'exclusive');
    await client.query('DELETE FROM output_edge WHERE model_id = $1', [id]);
    await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = ANY(ARRAY(SELECT id FROM dictionary WHERE model_id = $1))', [id]);
    await client.query('UPDATE feature SET edges = 0 WHERE dictionary_id = ANY(ARRAY(SELECT id FROM dictionary WHERE model_id = $1)) AND edges <> 0', [id]);
  }
}

import type { Pool } from 'pg';
import { CopyLane, CopyTable } from '../../src/adapters/prisma/copyTable.ts';
import { transaction } from '../../src/adapters/prisma/transaction.ts';
import { Rng } from '../../src/math/rng.ts';

const SYLLABLES = ['ba', 'ce', 'di', 'fo', 'gu', 'ka', 'le', 'mi', 'no', 'pu', 'ra', 'se', 'ti', 'vo', 'zu', 'bran', 'cler', 'drim', 'flon', 'grust', 'plan', 'sten', 'trim', 'vorn'];
const ENDINGS = ['', '', '', 's', 'ing', 'ed', 'er', 'al'];
const COMMON = ['the', 'of', 'and', 'in', 'a', 'token', 'words', 'names', 'before', 'after', 'code', 'punctuation', 'numbers', 'text', 'list', 'closing', 'opening', 'verbs', 'nouns', 'phrases'];

/** `size` different words, most frequent first: a few English ones, then syllables with endings that stem. */
export function makeVocabulary(size: number, rng: Rng): readonly string[] {
  const words = new Set(COMMON);
  while (words.size < size) {
    const length = 2 + rng.int(3);
    words.add(Array.from({ length }, () => SYLLABLES[rng.int(SYLLABLES.length)]!).join('') + ENDINGS[rng.int(ENDINGS.length)]!);
  }
  return [...words];
}

/** Draws places 0 … size-1 with probability proportional to 1 / (place + 8). */
export function zipf(size: number): (u: number) => number {
  const cumulative = new Float64Array(size);
  let total = 0;
  for (let i = 0; i < size; i++) cumulative[i] = total += 1 / (i + 8);
  return (u) => {
    let [low, high] = [0, size - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < u * total) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

export interface SearchData {
  readonly vocabulary: readonly string[];
  /** Every thousandth description, for phrases that occur. */
  readonly samples: readonly string[];
  readonly dictionaryIds: readonly number[];
}

/**
 * `count` explanations of 8 to 20 words, Zipf-distributed, over a hundred dictionaries of 12 layers; nine in ten by one explainer.
 * One in five has no score; the others' are normal around 0.35 (sd 0.25). The rows hold what search reads, not exemplars or scores.
 */
export async function loadSearchData(pool: Pool, count: number, seed: number): Promise<SearchData> {
  const rng = new Rng(seed);
  const vocabulary = makeVocabulary(40_000, rng);
  const draw = zipf(vocabulary.length);
  const samples: string[] = [];
  const dictionaryIds = Array.from({ length: 100 }, (_, i) => i + 1);
  await transaction(pool, async (client) => {
    await client.query(`INSERT INTO model (id, name, architecture, layers, d_model, vocab_size, context_length, parameters, weights_hash, tokenizer_hash, source)
      VALUES (1, 'bench', 'GPTNeoX', 12, 64, 1000, 64, 1, 'w', 't', 'bench')`);
    await client.query(`INSERT INTO run (key, stage, params, inputs, seed, code_version, started_at, metrics) VALUES ('bench', 'train', '{}', '{}', 1, 'bench', now(), '{}')`);
    await client.query(
      `INSERT INTO dictionary (id, model_id, name, hook_point, layer, architecture, d_in, n_features, input_scale, weights_hash, location, train_run)
       SELECT d, 1, (d % 12) || '-bench-' || d, 'resid_post.' || d % 12, d % 12, 'tied', 64, $1::int, 1, 'w' || d, '', 'bench' FROM generate_series(1, 100) d`,
      [Math.ceil(count / 100)],
    );
    const lane = new CopyLane(client);
    const rows = new CopyTable(lane, 'explanation', ['dictionary_id', 'index', 'explainer', 'description', 'detail', 'run', 'best_score', 'model', 'prompt_version', 'fragments', 'judged_on']);
    for (let i = 0; i < count; i++) {
      const description = Array.from({ length: 8 + rng.int(13) }, () => vocabulary[draw(rng.next())]!).join(' ');
      if (i % 1000 === 0) samples.push(description);
      rows.row();
      rows.int4(1 + (i % 100));
      rows.int4(Math.floor(i / 100));
      rows.text(rng.int(10) === 0 ? 'llm-v1' : 'pattern-v1');
      rows.text(description);
      rows.text('{}');
      rows.text('bench');
      rows.float8(rng.int(5) === 0 ? null : Math.max(-1, Math.min(1, 0.35 + 0.25 * rng.normal())));
      rows.text(null);
      rows.text(null);
      rows.bytes(Buffer.alloc(200));
      rows.byteArrays([Buffer.alloc(200)]);
      await rows.flushIfFull();
    }
    await rows.flush();
    await lane.idle();
    await client.query('INSERT INTO explanation_word SELECT unnest($1::text[])', [vocabulary]);
  });
  return { vocabulary, samples, dictionaryIds };
}

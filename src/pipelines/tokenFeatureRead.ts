import { join } from 'node:path';
import { activationAt } from '../causal/activeFeatures.ts';
import type { BasisDirection } from '../causal/basisDirection.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { inOrder } from './inOrder.ts';
import { batchOf, type ReadText } from './readText.ts';

/** A feature, and the dimension of the hook point it is compared with. */
export interface StudiedFeature {
  readonly weights: DictionaryWeights;
  readonly index: number;
  readonly basis: BasisDirection;
}

/** Activations on every token of the text, [rows · cols]. */
export interface StudiedActivations {
  readonly feature: Float32Array;
  readonly basis: Float32Array;
}

/** A line of the resume log: rows [from, to) of the text, per feature its activations and its dimension's. */
interface ReadRecord {
  readonly from: number;
  readonly to: number;
  readonly values: readonly { readonly feature: readonly number[]; readonly basis: readonly number[] }[];
}

/**
 * Reads some features, and for each a dimension of its hook point, on every token: eight bytes a token and feature. Continues
 * after a crash from its log of finished batches.
 */
export async function readStudied(input: { readonly model: SubjectModel; readonly studied: readonly StudiedFeature[]; readonly text: ReadText; readonly artefacts: Artefacts; readonly progress: Progress; readonly dir: string; readonly batchTokens: number }): Promise<StudiedActivations[]> {
  const { model, studied, text, artefacts, progress } = input;
  const { cols, rows } = text;
  const out = studied.map((): StudiedActivations => ({ feature: new Float32Array(text.ids.length), basis: new Float32Array(text.ids.length) }));
  const take = ({ from, values }: ReadRecord): void => {
    values.forEach(({ feature, basis }, i) => {
      out[i].feature.set(feature, from * cols);
      out[i].basis.set(basis, from * cols);
    });
  };
  const log = join(input.dir, 'read.ndjson');
  let next = 0;
  for await (const record of artefacts.readRecords<ReadRecord>(log, { optional: true })) {
    if (record.from !== next) continue;
    take(record);
    next = record.to;
  }
  if (next > 0) progress.say(`token-feature: reading continues at row ${next} of ${rows.length}`);
  const dictionaries = [...new Set(studied.map(({ weights }) => weights))];
  const hooks = [...new Set(dictionaries.map(({ config }) => config.hookPoint))];
  const task = progress.start('token-feature: read', rows.length * cols, 'tokens');
  const perBatch = Math.max(1, Math.floor(input.batchTokens / cols));
  const starts = Array.from({ length: Math.ceil((rows.length - next) / perBatch) }, (_, i) => next + i * perBatch);
  const records = inOrder(starts, model.concurrency + 1, async (from): Promise<ReadRecord> => {
    const to = Math.min(rows.length, from + perBatch);
    const { codes, taps } = await model.forward({ batch: batchOf(text, from, to), taps: hooks, logits: 'none', encode: dictionaries });
    const values = studied.map(({ weights, index, basis: { dimension, sign } }) => {
      const stream = taps.get(weights.config.hookPoint);
      invariant(stream !== undefined, 'a tap that was asked for');
      const found = codes[dictionaries.indexOf(weights)];
      const tokens = Array.from({ length: (to - from) * cols }, (_, r) => r);
      return { feature: tokens.map((r) => short(activationAt(found, r, index))), basis: tokens.map((r) => short(Math.max(0, sign * stream[r * weights.config.dIn + dimension]))) };
    });
    return { from, to, values };
  });
  for await (const record of records) {
    await artefacts.appendRecords(log, [record]);
    take(record);
    task.update(record.to * cols);
  }
  task.finish();
  return out;
}

/** Nine digits give a float32 back to the bit; written out in full it takes seventeen. */
function short(value: number): number {
  return value === 0 ? 0 : Number(value.toPrecision(9));
}

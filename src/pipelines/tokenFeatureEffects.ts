import { join } from 'node:path';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import { intervene } from '../interventions/intervene.ts';
import type { Intervention } from '../interventions/intervention.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { ReadText } from './readText.ts';

/** One direction to ablate, and where. */
export interface EffectTask {
  /** Tells it from the others in the log. */
  readonly key: string;
  readonly weights: DictionaryWeights;
  readonly index: number;
  /** Rows of the text by place, ascending, in which it is active. */
  readonly rows: readonly number[];
  /** Its activations on the text, [rows · cols]. */
  readonly activations: Float32Array;
}

/** Effects at the positions from the first activation of a row to its last but one; before it they are exactly 0. */
export interface RowEffects {
  readonly row: number;
  readonly from: number;
  /** log p(clean) − log p(ablated) of the row's own next token, in nats, by position from `from` on. */
  readonly effects: readonly number[];
  /** Largest activation that is left after the ablation. */
  readonly left: number;
}

interface EffectRecord extends RowEffects {
  readonly key: string;
}

/**
 * Ablates a direction at every position of the rows, x ← x − c f with the error term kept, and takes the effect on each true next
 * token. Continues after a crash from its log, row by row. Time: one clean run of each row and one from the hook point's
 * layer on, with logits at each measured position, for each direction.
 */
export async function ablationEffects(input: { readonly model: SubjectModel; readonly text: ReadText; readonly tasks: readonly EffectTask[]; readonly artefacts: Artefacts; readonly progress: Progress; readonly dir: string; readonly batchTokens: number }): Promise<RowEffects[][]> {
  const { model, text, tasks, artefacts, progress } = input;
  const { cols, ids } = text;
  const log = join(input.dir, 'effects.ndjson');
  const done = new Map<string, RowEffects>();
  for await (const { key, ...found } of artefacts.readRecords<EffectRecord>(log, { optional: true })) done.set(`${key} ${found.row}`, found);
  if (done.size > 0) progress.say(`token-feature: ${done.size} rows were ablated before`);
  const total = tasks.reduce((sum, { rows }) => sum + rows.length, 0);
  const progressTask = progress.start('token-feature: ablate', total, 'rows');
  const perCall = Math.max(1, Math.floor(input.batchTokens / cols)) * (model.concurrency + 1);
  let finished = 0;
  for (const { key, weights, index, rows, activations } of tasks) {
    const missing = rows.filter((row) => !done.has(`${key} ${row}`));
    finished += rows.length - missing.length;
    for (let at = 0; at < missing.length; at += perCall) {
      const part = missing.slice(at, at + perCall);
      const starts = part.map((row) => firstActive(activations, row, cols));
      const positions = Array.from({ length: cols }, (_, t) => t);
      const interventions = part.map((_, prompt): Intervention => ({
        prompt,
        target: null,
        error: 'keep',
        features: [{ weights, index, operation: { kind: 'ablate' }, positions }],
        measures: { loss: true, positions: positions.slice(starts[prompt], -1), watch: [{ weights, index }] },
      }));
      const prompts = part.map((row) => ids.slice(row * cols, (row + 1) * cols));
      const results = await intervene(model, { prompts, interventions }, { batchTokens: input.batchTokens });
      const records = results.map(({ predictions, watched }, i): EffectRecord => ({
        key,
        row: part[i],
        from: starts[i],
        effects: predictions.map(({ loss }) => {
          invariant(loss !== null, 'a position before the last has a next token');
          return loss.patched - loss.base;
        }),
        left: watched[0].after.reduce((most, value) => Math.max(most, value), 0),
      }));
      await artefacts.appendRecords(log, records);
      for (const record of records) done.set(`${key} ${record.row}`, record);
      finished += part.length;
      progressTask.update(finished);
    }
  }
  progressTask.finish();
  return tasks.map(({ key, rows }) =>
    rows.map((row) => {
      const found = done.get(`${key} ${row}`);
      invariant(found !== undefined, 'every row was ablated');
      return found;
    }),
  );
}

/** Position of a row's first activation; the last but one when there is none, whose effect is 0. */
function firstActive(activations: Float32Array, row: number, cols: number): number {
  for (let t = 0; t < cols - 1; t++) if (activations[row * cols + t] > 0) return t;
  return cols - 2;
}

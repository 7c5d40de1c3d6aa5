import { activationAt } from '../causal/activeFeatures.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { Probe } from '../interp/pattern/probe.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';

/** Tokens of one forward run: large enough to keep a core busy, small enough that every worker gets some. */
export const BATCH_TOKENS = 2048;

/** What reading cost; grows as probes are read. */
export interface ProbeCost {
  /** Tokens that went through the model. */
  tokens: number;
  /** Rows read, and rows asked for before equal ones were merged. */
  rows: number;
  asked: number;
}

/**
 * Reads many short rows in few large runs. Equal rows are read once whatever features they are for; rows of one length share a
 * batch, so nothing is padded. Batches depend on the probes alone, not on the number of workers, so results repeat to the bit.
 */
export class ProbeReader {
  readonly cost: ProbeCost = { tokens: 0, rows: 0, asked: 0 };
  readonly #model: SubjectModel;
  readonly #dictionary: DictionaryWeights;

  constructor(model: SubjectModel, dictionary: DictionaryWeights) {
    this.#model = model;
    this.#dictionary = dictionary;
  }

  /** Activations (≥ 0, dictionary units) of each probe's feature at its last token. */
  async read(probes: readonly Probe[]): Promise<Float32Array> {
    const values = new Float32Array(probes.length);
    this.cost.asked += probes.length;
    const rows = uniqueRows(probes.map((p) => p.ids));
    await this.#inBatches(rows, async (batch, ids, length) => {
      const { codes } = await this.#model.forward({ batch: tokenBatch(ids, length), taps: [], logits: 'none', encode: [this.#dictionary] });
      batch.forEach((row, b) => {
        for (const probe of row.askedBy) values[probe] = activationAt(codes[0], b * length + length - 1, probes[probe].feature);
      });
    });
    return values;
  }

  /** The codes at the last token of each row, handed over batch by batch: `take(row, features, values)`. */
  async eachCodes(rows: readonly (readonly number[])[], take: (row: number, features: Uint32Array, values: Float32Array) => void): Promise<void> {
    this.cost.asked += rows.length;
    await this.#inBatches(uniqueRows(rows), async (batch, ids, length) => {
      const { codes } = await this.#model.forward({ batch: tokenBatch(ids, length), taps: [], logits: 'none', encode: [this.#dictionary] });
      batch.forEach((row, b) => {
        const at = b * length + length - 1;
        const [from, to] = [codes[0].offsets[at], codes[0].offsets[at + 1]];
        for (const asked of row.askedBy) take(asked, codes[0].features.subarray(from, to), codes[0].values.subarray(from, to));
      });
    });
  }

  /** The n likeliest next tokens after each prefix, likeliest first. */
  async propose(prefixes: readonly (readonly number[])[], n: number): Promise<readonly (readonly number[])[]> {
    const proposals: number[][] = prefixes.map(() => []);
    const vocabulary = this.#model.info.vocabSize;
    this.cost.asked += prefixes.length;
    await this.#inBatches(uniqueRows(prefixes), async (batch, ids, length) => {
      const { logits } = await this.#model.forward({ batch: tokenBatch(ids, length), taps: [], logits: 'last' });
      batch.forEach((row, b) => {
        const likeliest = largest(logits!.subarray(b * vocabulary, (b + 1) * vocabulary), n);
        for (const asked of row.askedBy) proposals[asked] = likeliest;
      });
    });
    return proposals;
  }

  async #inBatches(rows: readonly UniqueRow[], run: (batch: readonly UniqueRow[], ids: Int32Array, length: number) => Promise<void>): Promise<void> {
    const jobs: { batch: readonly UniqueRow[]; length: number }[] = [];
    for (const [length, group] of Map.groupBy(rows, (row) => row.ids.length)) {
      const perBatch = Math.max(1, Math.floor(BATCH_TOKENS / length));
      for (let at = 0; at < group.length; at += perBatch) jobs.push({ batch: group.slice(at, at + perBatch), length });
    }
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < jobs.length) {
        const { batch, length } = jobs[next++];
        const ids = new Int32Array(batch.length * length);
        batch.forEach((row, b) => ids.set(row.ids, b * length));
        this.cost.rows += batch.length;
        this.cost.tokens += ids.length;
        await run(batch, ids, length);
      }
    };
    // One run more than the model takes at once, so that the next is waiting when one ends.
    await Promise.all(Array.from({ length: this.#model.concurrency + 1 }, worker));
  }
}

interface UniqueRow {
  readonly ids: readonly number[];
  /** Indices of the probes that want this row. */
  readonly askedBy: number[];
}

function uniqueRows(rows: readonly (readonly number[])[]): UniqueRow[] {
  const unique = new Map<string, UniqueRow>();
  rows.forEach((ids, i) => {
    const key = ids.join(' ');
    const known = unique.get(key);
    if (known === undefined) unique.set(key, { ids, askedBy: [i] });
    else known.askedBy.push(i);
  });
  return [...unique.values()];
}

function tokenBatch(ids: Int32Array, length: number): { rows: number; cols: number; ids: Int32Array; lengths: Int32Array } {
  const rows = ids.length / length;
  return { rows, cols: length, ids, lengths: new Int32Array(rows).fill(length) };
}

/** Indices of the n largest entries, largest first; n small. */
function largest(values: Float32Array, n: number): number[] {
  const kept: number[] = [];
  let smallest = -Infinity;
  for (let i = 0; i < values.length; i++) {
    if (kept.length === n && values[i] <= smallest) continue;
    let at = kept.length;
    while (at > 0 && values[kept[at - 1]] < values[i]) at--;
    kept.splice(at, 0, i);
    if (kept.length > n) kept.pop();
    smallest = values[kept.at(-1)!];
  }
  return kept;
}

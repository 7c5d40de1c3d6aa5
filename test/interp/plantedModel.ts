import type { Exemplar, FeatureAnalysis } from '../../src/domain/feature.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { SparseCodes } from '../../src/domain/sparseCodes.ts';
import { Rng } from '../../src/math/rng.ts';
import type { ForwardRequest, ForwardResult, SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';

/** Activation of one planted feature at position t of a row. */
export type Rule = (ids: ArrayLike<number>, t: number) => number;

const WORDS = [
  '<doc>', ' the', ' a', ' Anna', ' Bob', ' gave', ' handed', ' took', ' to', ' from', ' (', ')', ' 12', ' 7', ' 1999', ' 345', ' not', ' red', ' blue',
  ' green', ' book', ' cup', ' ball', ' ran', ' walking', ' singing', ' reading', ' jumping', '.', ',', ' and', ' but', 'the', 'The', ' house', ' garden',
];

/** Id of a word of the planted vocabulary. */
export function word(text: string): number {
  const id = WORDS.indexOf(text);
  if (id < 0) throw new Error(`no such word: "${text}"`);
  return id;
}

export const DOCUMENT_START = word('<doc>');

/**
 * A synthetic language model whose features are known by construction: feature j of its only dictionary is `rules[j]`. No mock: it
 * keeps SubjectModel's contract (batches, codes of the last token, next-token logits), so the explainer probes it as it would
 * probe a transformer, and what it should find is known exactly. Its next-token distribution favours words of the same kind.
 */
export function plantedModel(rules: readonly Rule[]): SubjectModel & { readonly forwards: number } {
  let forwards = 0;
  const V = WORDS.length;
  return {
    info: {
      name: 'planted', architecture: 'planted', layers: 1, dModel: rules.length, vocabSize: V, contextLength: 128, parameters: 0, weightsHash: 'planted', tokenizerHash: 'planted',
    },
    concurrency: 2,
    get forwards() {
      return forwards;
    },
    async forward({ batch, encode = [], logits }: ForwardRequest): Promise<ForwardResult> {
      forwards++;
      const codes = encode.map(() => {
        const offsets = new Uint32Array(batch.rows * batch.cols + 1);
        const features: number[] = [];
        const values: number[] = [];
        for (let b = 0; b < batch.rows; b++) {
          const ids = batch.ids.subarray(b * batch.cols, b * batch.cols + batch.lengths[b]);
          for (let t = 0; t < batch.cols; t++) {
            if (t < ids.length) {
              rules.forEach((rule, feature) => {
                const value = rule(ids, t);
                if (value <= 0) return;
                features.push(feature);
                values.push(value);
              });
            }
            offsets[b * batch.cols + t + 1] = features.length;
          }
        }
        return { rows: batch.rows * batch.cols, nFeatures: rules.length, offsets, features: Uint32Array.from(features), values: Float32Array.from(values) } satisfies SparseCodes;
      });
      let out: Float32Array | null = null;
      if (logits === 'last') {
        out = new Float32Array(batch.rows * V);
        for (let b = 0; b < batch.rows; b++) for (let v = 0; v < V; v++) out[b * V + v] = Rng.derive(v, batch.ids[b * batch.cols + batch.lengths[b] - 1]).next();
      }
      return { taps: new Map(), logits: out, codes };
    },
    unembedding: () => Promise.resolve(new Float32Array(V * rules.length)),
    finalNorm: () => Promise.resolve({ gain: new Float32Array(rules.length).fill(1), centres: false }),
    close: () => Promise.resolve(),
  };
}

export const plantedTokenizer: Tokenizer = {
  hash: 'planted',
  size: WORDS.length,
  eosId: DOCUMENT_START,
  bosId: null,
  encode: (text) => Int32Array.from((text.match(/ ?[\w]+|[^\w]/gu) ?? []).map(word)),
  decode: (ids) => Array.from(ids, (id) => WORDS[id]).join(''),
  token: (id) => WORDS[id],
};

export function plantedDictionary(rules: readonly Rule[]): DictionaryWeights {
  const F = rules.length;
  const identity = new Float32Array(F * F);
  for (let i = 0; i < F; i++) identity[i * F + i] = 1;
  return {
    config: {
      formatVersion: 1, name: 'planted', model: 'planted', hookPoint: 'resid_post.0', outputHookPoint: null, architecture: 'neuron', dIn: F, dOut: F,
      nFeatures: F, k: null, l1: null, inputScale: 1, outputScale: 1, weightsHash: 'planted', run: 'planted',
    },
    encoder: identity,
    encoderBias: new Float32Array(F),
    threshold: null,
    decoder: identity,
    decoderBias: new Float32Array(F),
    skip: null,
  };
}

/** Rows of random words in which some phrases are more frequent than chance, so that every planted feature is active somewhere. */
export function plantedRows(count: number, cols: number, seed: number): Int32Array[] {
  const phrases = [' gave to', ' handed to', ' took from', ' not red', ' not walking', ' ( Anna ) .', ' 12 , 7', ' gave the book to'].map((p) =>
    p.split(/(?= )|(?=[).,])/u).map((w) => (WORDS.includes(w) ? w : w.trim())).filter((w) => w !== '').map(word),
  );
  return Array.from({ length: count }, (_, row) => {
    const rng = Rng.derive(seed, 'rows', row);
    const ids = [DOCUMENT_START];
    while (ids.length < cols) {
      if (rng.next() < 0.2) ids.push(...rng.pick(phrases));
      else ids.push(1 + rng.int(WORDS.length - 1));
    }
    return Int32Array.from(ids.slice(0, cols));
  });
}

/** What the analyse stage would find for the planted features: 20 top and 20 random active fragments of 64 tokens. */
export function plantedAnalysis(rules: readonly Rule[], rows: readonly Int32Array[], seed: number): FeatureAnalysis[] {
  return rules.map((rule, index) => {
    const fragments = rows.flatMap((ids, row) => {
      const all = Array.from(ids, (_, t) => Math.max(0, rule(ids, t)));
      return Array.from({ length: Math.floor(ids.length / 64) }, (_, w) => ({
        row, start: w * 64, ids: [...ids.subarray(w * 64, w * 64 + 64)], activations: all.slice(w * 64, w * 64 + 64), maxActivation: Math.max(...all.slice(w * 64, w * 64 + 64)),
      }));
    });
    const active = fragments.filter((f) => f.maxActivation > 0);
    const top = active.toSorted((a, b) => b.maxActivation - a.maxActivation).slice(0, 20);
    const random = Rng.derive(seed, 'random', index).shuffle([...active]).slice(0, 20);
    const exemplars: Exemplar[] = [...top.map((f, rank) => ({ ...f, kind: 'top' as const, rank })), ...random.map((f, rank) => ({ ...f, kind: 'random' as const, rank }))];
    const values = fragments.flatMap((f) => f.activations).filter((a) => a > 0);
    return {
      index, density: values.length / (fragments.length * 64), maxActivation: Math.max(0, ...values), meanActivation: values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length,
      histogram: { edges: [], counts: [] }, topLogits: [{ id: word(' book'), value: 1 }], bottomLogits: [], neighbours: [], exemplars,
    };
  });
}

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import { evCorrelation } from '../../src/interp/correlation.ts';
import type { PatternDetail } from '../../src/interp/pattern/explainPatterns.ts';
import { compileTrie, simulate } from '../../src/interp/pattern/simulate.ts';
import { splitFragments } from '../../src/interp/split.ts';
import { Rng } from '../../src/math/rng.ts';
import { analyse } from '../../src/pipelines/analyse.ts';
import { backgroundTokens } from '../../src/pipelines/backgroundTokens.ts';
import { explainDictionary } from '../../src/pipelines/explain.ts';
import { openPatternExplainer } from '../../src/pipelines/patternExplainer.ts';
import { patternSimulator } from '../../src/pipelines/patternSimulator.ts';
import { simulationScorer } from '../../src/pipelines/simulationScorer.ts';
import { tokeniseRows } from '../../src/pipelines/tokenise.ts';
import type { Progress } from '../../src/ports/Progress.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import { gather } from '../helpers/gather.ts';
import { withFolder } from '../helpers/withFolder.ts';

const DEMO = join(import.meta.dirname, '../../models/demo');
const missing = ['config.json', 'model.safetensors', 'tokenizer.json'].filter((file) => !existsSync(join(DEMO, file)));
const skip = missing.length > 0 ? `models/demo has no ${missing.join(', ')}` : false;
const COLS = 64;
const quiet: Progress = { start: () => ({ update() {}, finish() {} }), say() {} };

/** Directions of token embeddings, with a bias that lets each feature fire on its own token only: what they detect is known. */
async function embeddingDictionary(model: SubjectModel, tokens: readonly number[]): Promise<DictionaryWeights> {
  const { dModel: D, vocabSize: V } = model.info;
  const ids = Int32Array.from({ length: V }, (_, id) => id);
  const { taps } = await model.forward({ batch: { rows: V, cols: 1, ids, lengths: new Int32Array(V).fill(1) }, taps: ['embed'], logits: 'none' });
  const embedding = taps.get('embed')!;
  const F = tokens.length;
  const encoder = new Float32Array(F * D);
  const encoderBias = new Float32Array(F);
  tokens.forEach((token, j) => {
    const own = embedding.subarray(token * D, (token + 1) * D);
    const norm = Math.hypot(...own);
    encoder.set(own.map((v) => v / norm), j * D);
    let next = -Infinity;
    for (let id = 0; id < V; id++) {
      if (id === token) continue;
      let dot = 0;
      for (let q = 0; q < D; q++) dot += embedding[id * D + q] * encoder[j * D + q];
      next = Math.max(next, dot);
    }
    assert.ok(next < norm, `token ${token} is not nearest to itself`);
    encoderBias[j] = -(norm + next) / 2;
  });
  return {
    config: { formatVersion: 1, name: 'embeddings', model: model.info.name, hookPoint: 'embed', outputHookPoint: null, architecture: 'tied', dIn: D, dOut: D, nFeatures: F,
      k: null, l1: null, inputScale: 1, outputScale: 1, weightsHash: 'embeddings', run: 'test' },
    encoder, encoderBias, threshold: null, decoder: encoder, decoderBias: new Float32Array(D), skip: null,
  };
}

test('on the demo model, features that are token embeddings are explained by their token and score above 0.9; shuffled, near 0', { skip }, async () =>
  withFolder(async (dir) => {
    const tokenizer = await openTokenizer(DEMO);
    const model = await openSubjectModel(DEMO, { device: 'cpu', workers: 1 });
    try {
      const rng = new Rng(11);
      const documents = Array.from({ length: 700 }, () => generateDocument(rng));
      const chunks = await gather(tokeniseRows({ documents, tokenizer }, { cols: COLS, maxTokens: 40_000 }));
      const ids = Int32Array.from(chunks.flatMap((chunk) => [...chunk]));
      const words = [' to', ' and', ' gave', ' the', ' said', '.', ','].map((word) => {
        const encoded = tokenizer.encode(word);
        assert.equal(encoded.length, 1, `"${word}" is one token of the demo tokenizer`);
        return encoded[0];
      });
      const dictionary = await embeddingDictionary(model, words);
      const tokens: TokenRows = {
        rows: ids.length / COLS, cols: COLS, hash: 'test', tokenizerHash: model.info.tokenizerHash,
        read: async (rows) => Int32Array.from(Array.from(rows).flatMap((row) => [...ids.subarray(row * COLS, (row + 1) * COLS)])),
        close: async () => {},
      };
      const artefacts = fileArtefacts();
      const [analysed] = await analyse({ model, dictionaries: [dictionary], tokens, rows: { from: 0, to: tokens.rows }, artefacts, progress: quiet, dir, seed: 1 });
      const featuresPath = join(dir, analysed.file);
      const explainer = await openPatternExplainer({ model, tokenizer, dictionary, background: await backgroundTokens(artefacts, featuresPath), seed: 2 });
      const { path, summary } = await explainDictionary(
        { artefacts, progress: quiet, explainer, scorers: [simulationScorer(patternSimulator, 2)] },
        { label: 'embeddings', featuresPath, nFeatures: words.length, dir },
        { features: 'all', minFragments: 20, chunk: 4 },
      );
      assert.equal(summary.coverage, 1);
      const outcomes = await gather(artefacts.readRecords<ExplainOutcome>(path));
      const features = await gather(artefacts.readRecords<FeatureAnalysis>(featuresPath));
      const details = outcomes.map((outcome, j) => {
        assert.ok(outcome.kind === 'explained');
        const { description, detail, scores } = outcome.explanation;
        assert.ok(description.includes(tokenizer.token(words[j])), `"${tokenizer.token(words[j])}": ${description}`);
        assert.match(description, /^the token/);
        assert.ok(scores[0].value! > 0.9, `${description}: ${scores[0].value}`);
        return detail as PatternDetail;
      });
      words.forEach((word, j) => {
        const { scoredTop, scoredRandom } = splitFragments(features[j].exemplars);
        const trie = compileTrie(details[(j + 1) % words.length].trie);
        const { value } = evCorrelation([...scoredTop, ...scoredRandom].map((e) => ({ truth: e.activations, simulated: simulate(trie, e.ids) })));
        assert.ok(value === null || Math.abs(value) < 0.2, `token ${word} by another's explanation: ${value}`);
      });
    } finally {
      await model.close();
    }
  }));

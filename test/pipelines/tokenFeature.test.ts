import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { basisDictionary, basisDirection } from '../../src/causal/basisDirection.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { boundedMatches } from '../../src/pipelines/boundedMatches.ts';
import { tokenFeature, type TokenFeatureInput } from '../../src/pipelines/tokenFeature.ts';
import type { RowEffects } from '../../src/pipelines/tokenFeatureEffects.ts';
import { compilePattern } from '../../src/pipelines/tokenPattern.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { ReportedDetection } from '../../src/ports/TokenFeatureReport.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';
import { wordTokenizer } from '../helpers/wordTokenizer.ts';
import { readFixture } from '../lm/fixture.ts';

const [ROWS, COLS, EOS] = [30, 24, 2];
const PLANTED = 5;

let model: SubjectModel;
let tokens: TokenRows;
/** A dictionary at the embedding in which feature PLANTED is active on token `mark` and on nothing else. */
let planted: DictionaryWeights;
let mark: number;
/** A dictionary one layer on, of features that mean nothing. */
let noise: DictionaryWeights;

before(async () => {
  model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
  const { vocabSize: V, dModel: d } = model.info;
  tokens = { ...memoryTokens(ROWS, COLS, V, 7), tokenizerHash: model.info.tokenizerHash };
  const ids = Int32Array.from({ length: V }, (_, id) => id);
  const { taps } = await model.forward({ batch: { rows: V, cols: 1, ids, lengths: new Int32Array(V).fill(1) }, taps: ['embed'], logits: 'none' });
  const embedding = taps.get('embed')!;
  const row = (id: number): Float32Array => embedding.subarray(id * d, (id + 1) * d);
  const unit = (id: number): Float32Array => row(id).map((value) => value / Math.hypot(...row(id)));
  // The token whose own direction tells it best from all others.
  const gaps = Array.from(ids, (id) => {
    const own = dot(unit(id), row(id));
    const other = Math.max(...Array.from(ids, (o) => (o === id ? -Infinity : dot(unit(id), row(o)))));
    return { id, gap: own - other, bias: -(own + other) / 2 };
  });
  const best = gaps.reduce((a, b) => (a.id === EOS || (b.gap > a.gap && b.id !== EOS) ? b : a));
  assert.ok(best.gap > 0);
  mark = best.id;
  planted = tiedDictionary('0-planted', 'embed', d, 12, { seed: 3, bias: 0 });
  planted.encoder.set(unit(mark), PLANTED * d);
  planted.encoderBias[PLANTED] = best.bias;
  noise = tiedDictionary('1-noise', 'resid_post.0', d, 16, { seed: 4, bias: 0 });
});
after(() => model.close());

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

async function setUp(folder: string, name = 'run'): Promise<TokenFeatureInput> {
  const dir = join(folder, name);
  await mkdir(dir, { recursive: true });
  return {
    model, tokenizer: wordTokenizer(model.info.vocabSize, EOS), dictionaries: [planted, noise], features: [], pattern: { kind: 'tokens', tokens: [`w${mark}`] }, tokens,
    rows: Uint32Array.from({ length: ROWS - 2 }, (_, i) => i + 1), artefacts: fileArtefacts(), progress: quietProgress(), dir, seed: 1, options: { batchTokens: 4 * COLS, ranked: 99, effectTokens: 10_000 },
  };
}

/** Log-probabilities of the true next tokens, in float64 from the logits of a whole run. */
function nextLogProbs(logits: Float32Array, ids: Int32Array, vocab: number): number[] {
  return Array.from({ length: ids.length - 1 }, (_, t) => {
    const row = Float64Array.from(logits.subarray(t * vocab, (t + 1) * vocab));
    const max = Math.max(...row);
    return row[ids[t + 1]] - max - Math.log(row.reduce((sum, value) => sum + Math.exp(value - max), 0));
  });
}

/** The paper's ablation with plain forward runs: x ← x − c f at every position, c from the tapped vectors in float64. */
async function ablated(weights: DictionaryWeights, index: number, ids: Int32Array): Promise<{ effects: number[]; codes: number[]; left: number[] }> {
  const { hookPoint, dIn: d } = weights.config;
  const f = weights.decoder.subarray(index * d, (index + 1) * d);
  const encode = (x: Float32Array): number[] => Array.from(ids, (_, t) => dot(weights.encoder.subarray(index * d, (index + 1) * d), x.subarray(t * d, (t + 1) * d)) + weights.encoderBias[index]);
  const batch = { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) };
  const clean = await model.forward({ batch, taps: [hookPoint], logits: 'all' });
  const codes = encode(clean.taps.get(hookPoint)!).map((h) => Math.max(0, h));
  const delta = Float32Array.from({ length: ids.length * d }, (_, i) => -codes[Math.floor(i / d)] * f[i % d]);
  const edited = await model.forward({ batch, edits: [{ at: hookPoint, delta }], taps: [hookPoint], logits: 'all' });
  const after = nextLogProbs(edited.logits!, ids, model.info.vocabSize);
  const effects = nextLogProbs(clean.logits!, ids, model.info.vocabSize).map((before, t) => before - after[t]);
  return { effects, codes, left: encode(edited.taps.get(hookPoint)!) };
}

test('a planted feature is found, pure; every count equals one made token by token', async () => {
  await withFolder(async (folder) => {
    const input = await setUp(folder);
    const found = await tokenFeature(input);
    const { pattern, features } = found;
    const ids = await tokens.read(input.rows);
    const marks = ids.filter((id) => id === mark).length;
    assert.ok(marks > 3 && pattern !== null);
    assert.deepEqual([pattern.tokens, pattern.byToken, found.tokensRead], [marks, [{ id: mark, count: marks }], ids.length]);
    assert.equal(pattern.ranking[0].address, `${model.info.name}/0-planted/${PLANTED}`);
    const { purity } = pattern.ranking[0];
    assert.deepEqual([purity.matches, purity.falsePositives, purity.falseNegatives, purity.precision, purity.recall, purity.f1], [marks, 0, 0, 1, 1, 1]);

    // All others, from the model's own codes.
    for (const weights of [planted, noise]) {
      const batch = { rows: input.rows.length, cols: COLS, ids, lengths: new Int32Array(input.rows.length).fill(COLS) };
      const { codes: [codes] } = await model.forward({ batch, taps: [], logits: 'none', encode: [weights] });
      for (let j = 0; j < weights.config.nFeatures; j++) {
        let [matches, active, sum] = [0, 0, 0];
        for (let r = 0; r < ids.length; r++) {
          for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) {
            if (codes.features[e] !== j) continue;
            active++;
            if (ids[r] === mark) matches++;
            if (ids[r] === mark) sum += codes.values[e];
          }
        }
        const ranked: ReportedDetection | undefined = pattern.ranking.find(({ address }) => address.endsWith(`/${weights.config.name}/${j}`));
        if (ranked === undefined) assert.equal(matches, 0);
        else {
          assert.deepEqual([ranked.purity.matches, ranked.purity.falsePositives, ranked.purity.falseNegatives], [matches, active - matches, marks - matches]);
          assert.ok(Math.abs(ranked.meanOnPattern - sum / marks) < 1e-6);
        }
      }
    }
    assert.deepEqual(pattern.byMean.map(({ meanOnPattern }) => meanOnPattern), pattern.ranking.map(({ meanOnPattern }) => meanOnPattern).sort((a, b) => b - a));

    const [{ feature, basis, contexts, place }] = features;
    assert.deepEqual([place, feature.active, feature.best?.f1, feature.effects.left !== null && feature.effects.left <= 1e-5], [1, marks, 1, true]);
    assert.deepEqual(feature.histogram.parts.map(({ id, zero }) => [id, zero]), [[mark, 0], [null, ids.length - marks]]);
    for (const { histogram } of [feature, basis]) assert.equal(histogram.parts.reduce((sum, { zero, counts }) => sum + zero + counts.reduce((a, b) => a + b, 0), 0), ids.length);
    assert.ok(contexts.length > 0 && contexts.every(({ tokens: shown }) => shown.find(({ here }) => here)!.text.trim() === `w${mark}`));
    assert.equal(found.texts[String(mark)], `w${mark}`);
  });
});

test('effects equal clean and edited forward runs; the ablated feature is at 0, and where it is silent nothing changes', async () => {
  await withFolder(async (folder) => {
    const address = { dictionary: '1-noise', index: 2 };
    for (const { dictionary, index } of [{ dictionary: '0-planted', index: PLANTED }, address]) {
      const input = { ...(await setUp(folder, dictionary)), pattern: null, features: [{ dictionary, index }] };
      const { pattern, features: [{ feature, basis }] } = await tokenFeature(input);
      assert.deepEqual([pattern, feature.purity, feature.best], [null, null, null]);
      const weights = dictionary === '1-noise' ? noise : planted;
      const dimension = basisDirection(weights, index);
      assert.equal(basis.dimension, dimension.dimension);
      const directions = new Map([[`${dictionary}/${index}`, { weights, index }], [`${dictionary}/${index} dimension`, { weights: basisDictionary(weights, dimension), index: 0 }]]);
      const lines = (await readFile(join(input.dir, 'effects.ndjson'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as RowEffects & { key: string });
      assert.equal(lines.length, 2 * feature.effects.rows);
      const sums = new Map<string, number[]>();
      for (const { key, row, from, effects } of lines) {
        const direction = directions.get(key)!;
        const ids = await tokens.read([input.rows[row]]);
        const expected = await ablated(direction.weights, direction.index, ids);
        assert.equal(effects.length, COLS - 1 - from);
        effects.forEach((effect, i) => assert.ok(Math.abs(effect - expected.effects[from + i]) <= 1e-4, `${key}, row ${row}, position ${from + i}: ${effect} for ${expected.effects[from + i]}`));
        for (let t = 0; t < from; t++) assert.ok(expected.codes[t] < 1e-6 && Math.abs(expected.effects[t]) < 1e-5);
        // Tied and of unit norm: x·f + b falls by exactly c.
        for (const [t, c] of expected.codes.entries()) if (c > 0) assert.ok(Math.abs(expected.left[t]) <= 1e-5);
        sums.set(key, [...(sums.get(key) ?? []), ...effects]);
      }
      for (const [key, effects] of sums) {
        const reported = (key.endsWith('dimension') ? basis : feature).effects;
        assert.equal(reported.positions.n, effects.length);
        assert.ok(Math.abs(reported.positions.mean! - effects.reduce((a, b) => a + b, 0) / effects.length) < 1e-9);
        assert.equal(reported.positive, effects.filter((effect) => effect > 0.1).length);
        assert.equal(reported.negativeHistogram.parts.reduce((n, { counts }) => n + counts.reduce((a, b) => a + b, 0), 0), reported.negative);
      }
      if (dictionary === '0-planted') {
        const texts = await tokens.read(input.rows);
        const rows = input.rows.filter((_, i) => texts.subarray(i * COLS, (i + 1) * COLS - 1).includes(mark));
        assert.equal(feature.effects.rows, rows.length); // a row without the token is not run: nothing there can change
      }
    }
    // A feature that is silent everywhere has no effect at all.
    const silent = { ...planted, config: { ...planted.config, weightsHash: 'silent' }, encoderBias: planted.encoderBias.map(() => -100) };
    const { features: [{ feature }] } = await tokenFeature({ ...(await setUp(folder, 'silent')), dictionaries: [silent], pattern: null, features: [{ dictionary: '0-planted', index: 1 }] });
    assert.deepEqual([feature.active, feature.effects.rows, feature.effects.positive, feature.effects.positions.n, feature.histogram.edges.length], [0, 0, 0, 0, 0]);
  });
});

test('tokens that look alike are told apart by their ids', async () => {
  await withFolder(async (folder) => {
    const input = await setUp(folder);
    const tokenizer = { ...input.tokenizer, token: (id: number) => (id < 40 ? 'x' : `w${id}`) };
    const { texts } = await tokenFeature({ ...input, tokenizer, pattern: null, features: [{ dictionary: '1-noise', index: 3 }], options: { ...input.options, topTokens: 20 } });
    const ids = Object.keys(texts).map(Number);
    assert.ok(ids.some((id) => id < 40) && ids.some((id) => id >= 40));
    for (const id of ids) assert.equal(texts[String(id)], id < 40 ? `x #${id}` : `w${id}`);
  });
});

test('an interrupted study goes on where it was and finds the same', async () => {
  await withFolder(async (folder) => {
    const whole = await tokenFeature(await setUp(folder, 'whole'));
    for (const fail of [4, 11, 17]) {
      let runs = 0;
      let left = fail;
      const input = await setUp(folder, `stopped-${fail}`);
      const failing: SubjectModel = { ...model, info: model.info, concurrency: 1, unembedding: () => model.unembedding(), finalNorm: () => model.finalNorm(), close: () => model.close(), forward: (request) => (runs++, left-- > 0 ? model.forward(request) : Promise.reject(new Error('stopped'))) };
      const options = { ...input.options, checkpointSeconds: 0 };
      await assert.rejects(tokenFeature({ ...input, options, model: failing }), /stopped/);
      // What a kill in the middle of a line leaves.
      if (fail === 11) await writeFile(join(input.dir, 'read.ndjson'), '{"from":0,"to', { flag: 'a' });
      left = Infinity;
      const before = runs;
      const progress = quietProgress();
      assert.deepEqual(await tokenFeature({ ...input, options, model: failing, progress }), whole);
      assert.ok(progress.lines.some((line) => /continues at row [1-9]/.test(line)), progress.lines.join('\n'));
      const again = runs;
      assert.deepEqual(await tokenFeature({ ...input, options, model: failing }), whole);
      assert.equal(runs, again, 'nothing is run twice');
      assert.ok(again > before);
    }
  });
});

test("what is wrong is said: no feature, unknown ones, patterns that are none or nowhere, other models' text", async () => {
  await withFolder(async (folder) => {
    const input = await setUp(folder);
    const rejects = (change: Partial<TokenFeatureInput>, code: string, message: RegExp): Promise<void> =>
      assert.rejects(tokenFeature({ ...input, ...change }), (error) => error instanceof CallerError && error.code === code && message.test(error.message));
    await rejects({ pattern: null }, 'BAD_INPUT', /give a feature, tokens or a pattern/);
    await rejects({ features: [{ dictionary: '7-none', index: 0 }] }, 'NOT_FOUND', /no such dictionary; there are 0-planted, 1-noise/);
    await rejects({ features: [{ dictionary: '1-noise', index: 16 }] }, 'NOT_FOUND', /features 0 to 15/);
    await rejects({ pattern: { kind: 'tokens', tokens: [] } }, 'BAD_INPUT', /expected at least one/);
    await rejects({ pattern: { kind: 'tokens', tokens: ['w3 w4'] } }, 'BAD_INPUT', /"w3 w4" is no single token of this model: this model spells it with 2 tokens/);
    await rejects({ pattern: { kind: 'tokens', tokens: [' w3'] } }, 'BAD_INPUT', /the model has "w3"/);
    await rejects({ pattern: { kind: 'regex', source: '(', over: 'token' } }, 'BAD_INPUT', /\/\(\/ is no regular expression: .*Unterminated group/);
    await rejects({ pattern: { kind: 'regex', source: '', over: 'token' } }, 'BAD_INPUT', /pattern is empty/);
    await rejects({ pattern: { kind: 'regex', source: 'x', over: 'token' } }, 'BAD_INPUT', /no token of this model matches \/x\//);
    await rejects({ pattern: { kind: 'regex', source: 'w1 w1 w1 w1 w1', over: 'text' } }, 'NOT_FOUND', /does not occur in the 672 tokens read/);
    await rejects({ options: { basisRank: 25 } }, 'BAD_INPUT', /basis rank 25: expected 1 to 24/);
    await rejects({ rows: new Uint32Array(0) }, 'BAD_INPUT', /no text to read/);
    await rejects({ tokens: { ...tokens, tokenizerHash: 'other' } }, 'TOKENIZER_MISMATCH', /tokenise the text again/);
    // In a folder of its own: a run's folder belongs to one set of inputs.
    await rejects({ dir: (await setUp(folder, 'silent')).dir, dictionaries: [{ ...planted, config: { ...planted.config, weightsHash: 'silent too' }, encoderBias: new Float32Array(12).fill(-100) }] }, 'NOT_FOUND', /no feature of these dictionaries is active on the pattern/);
  });
});

test('patterns: exact tokens, expressions over tokens, and over running text within a document', () => {
  const texts = ['', '.', '</s>', ' (', '(', 'A', 'pple', ' a', 'don', "'", 't'];
  const tokenizer = { size: texts.length, eosId: 2, bosId: null, encode: () => new Int32Array(1), decode: (ids: ArrayLike<number>) => Array.from(ids, (id) => texts[id]).join(''), token: (id: number) => texts[id] };
  //                       .  ␣(  A  pple  ␣a  (  a…  </s>  don  '  t  (  </s>  A
  const row = Int32Array.of(1, 3, 5, 6, 7, 4, 7, 2, 8, 9, 10, 4, 2, 5);
  const places = (choice: Parameters<typeof compilePattern>[0]): number[] => [...compilePattern(choice, tokenizer).mask(row)].flatMap((bit, i) => (bit === 1 ? [i] : []));
  assert.deepEqual(places({ kind: 'tokens', tokens: ['('] }), [5, 11]);
  assert.deepEqual(places({ kind: 'tokens', tokens: ['(', ' ('] }), [1, 5, 11]);
  assert.deepEqual(places({ kind: 'regex', source: String.raw`\(`, over: 'token' }), [1, 5, 11]);
  assert.deepEqual(places({ kind: 'regex', source: String.raw`^\w+$`, over: 'token' }), [2, 3, 8, 10, 13]);
  assert.throws(() => places({ kind: 'regex', source: 's', over: 'token' }), /no token of this model matches/, 'separators are not text');
  assert.deepEqual(places({ kind: 'regex', source: String.raw`\((?=[A-Z])`, over: 'text' }), [1]);
  assert.deepEqual(places({ kind: 'regex', source: "don't", over: 'text' }), [10]);
  assert.deepEqual(places({ kind: 'regex', source: 'App', over: 'text' }), [3]);
  assert.deepEqual(places({ kind: 'regex', source: 'x*', over: 'text' }), []);
});

test('an expression that backtracks without end is stopped and named', () => {
  const found = (regex: RegExp, texts: string[]): string => JSON.stringify(boundedMatches(regex, texts));
  assert.equal(found(/a+|$/gu, ['baab', '']), '[[[1,3],[4,4]],[[0,0]]]');
  const isSlow = (error: unknown): boolean => error instanceof CallerError && error.code === 'BAD_INPUT' && /\/\(a\+\)\+\$\/ was still being matched after 0\.05 s/.test(error.message);
  assert.throws(() => boundedMatches(/(a+)+$/gu, [`${'a'.repeat(60)}b`], 0.05), isSlow);
  assert.equal(found(/b/gu, ['ab']), '[[[1,2]]]', 'the next one is not stopped');
});

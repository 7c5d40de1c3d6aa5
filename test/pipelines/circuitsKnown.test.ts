import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openTokenRows, writeTokenRows } from '../../src/adapters/files/tokenRows.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import { keepOnly } from '../../src/interventions/keepOnly.ts';
import { Rng } from '../../src/math/rng.ts';
import { analyse } from '../../src/pipelines/analyse.ts';
import { gradientAttribution } from '../../src/pipelines/circuitAttribution.ts';
import { circuits, type CircuitsInput, type CircuitsResult } from '../../src/pipelines/circuits.ts';
import { circuitsFaithfulness } from '../../src/pipelines/circuitsTested.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import { CLOSE, D, knownDictionary, knownText, writeHandmadeModel } from '../helpers/handmadeModel.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const [ROWS, COLS] = [48, 14];
const CLOSING = { id: CLOSE, token: ')' };

type Prepared = Omit<CircuitsInput, 'dir' | 'targets' | 'model'> & { readonly model: GradientModel };

/** Streams of all layers, the branches of layer 1, and a transcoder of its MLP. */
function dictionariesOfAllKinds(): DictionaryWeights[] {
  return [
    knownDictionary('0-r', 'resid_post.0'),
    knownDictionary('1-attn', 'attn_out.1'),
    knownDictionary('1-t', 'mlp_in.1', 'mlp_out.1', (j) => (j === 1 ? 3 : j === 6 ? 6 : 5)),
    knownDictionary('1-r', 'resid_post.1'),
    knownDictionary('2-r', 'resid_post.2'),
  ];
}

async function withKnownModel(dictionaries: readonly DictionaryWeights[], use: (input: Prepared, dir: (name: string) => Promise<string>) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const model = await openSubjectModel(await writeHandmadeModel(join(folder, 'model')), { device: 'cpu', workers: 1 });
    try {
      const rng = new Rng(4);
      const path = join(folder, 'tokens');
      await writeTokenRows(path, { cols: COLS, tokenizerHash: model.info.tokenizerHash, vocabSize: model.info.vocabSize }, [knownText(ROWS, COLS, (n) => rng.int(n))]);
      const tokens = await openTokenRows(path);
      const dir = async (name: string): Promise<string> => {
        await mkdir(join(folder, name));
        return join(folder, name);
      };
      const artefacts = fileArtefacts();
      const analysed = await dir('analysed');
      const outputs = await analyse({ model, dictionaries, tokens, rows: { from: 0, to: ROWS }, artefacts, progress: quietProgress(), dir: analysed, seed: 1 });
      await use({ model, dictionaries, features: new Map(outputs.map((o) => [o.dictionary, join(analysed, o.file)])), tokens, artefacts, progress: quietProgress(), attribute: gradientAttribution(model, 4096) }, dir);
      await tokens.close();
    } finally {
      await model.close();
    }
  });
}

/** Edges as `source > target effect`, sorted. */
function edgesOf({ edges, outputEdges }: CircuitsResult): string[] {
  const rounded = (effect: number): string => (Math.round(effect * 100) / 100).toFixed(2);
  return [
    ...edges.map((e) => `${e.sourceDictionary}/${e.sourceIndex} > ${e.targetDictionary}/${e.targetIndex} ${rounded(e.effect)}`),
    ...outputEdges.map((e) => `${e.sourceDictionary}/${e.sourceIndex} > ${e.token}`),
  ].sort();
}

const STREAM_EDGES = ['0-r/0 > 1-r/2 1.00', '0-r/1 > 1-r/3 1.00', '1-r/2 > 2-r/4 1.00', '1-r/3 > 2-r/4 1.00'];

test('a circuit made by hand is found whole, through attention and MLP, and no decoy is reported', () =>
  withKnownModel(dictionariesOfAllKinds(), async (input, dir) => {
    const streams = { ...input, dictionaries: input.dictionaries.filter(({ config }) => config.name.endsWith('-r')) };
    const targets = [{ dictionary: '2-r', index: 4 }];
    for (const propose of ['heuristic', 'gradient'] as const) {
      for (const contextsFrom of ['top', 'sampled'] as const) {
        const found = await circuits({ ...streams, dir: await dir(`streams-${propose}-${contextsFrom}`), targets, options: { propose, contextsFrom, contexts: 8, candidates: propose === 'gradient' ? 4 : 6 } });
        assert.deepEqual(edgesOf(found), STREAM_EDGES);
        assert.ok(found.edges.every(({ n, standardError }) => n === 8 && standardError < 1e-2));
      }
    }
    const all = await circuits({ ...input, dir: await dir('all'), targets, options: { sources: 'all', contexts: 8, follow: [9] } });
    const into = edgesOf(all).filter((edge) => edge.includes('> 2-r/4'));
    assert.deepEqual(into, ['0-r/0', '0-r/1', '1-attn/2', '1-r/2', '1-r/3', '1-t/1'].map((source) => `${source} > 2-r/4 1.00`));
    assert.ok(edgesOf(all).includes('0-r/1 > 1-t/1 1.00') && edgesOf(all).includes('0-r/0 > 1-attn/2 1.00'), 'each branch from its own source');
    assert.ok(edgesOf(all).includes('1-t/1 > 1-r/3 1.00') && edgesOf(all).includes('1-attn/2 > 1-r/2 1.00'));
    assert.ok(all.edges.every(({ sourceIndex, targetIndex }) => sourceIndex < 5 && targetIndex < 5), 'no decoy');
    const short = await circuits({ ...input, dir: await dir('short'), targets, options: { sources: 'all', contexts: 8, follow: [9], depth: 1 } });
    assert.deepEqual(edgesOf(short), into);
  }));

test('the same behind an output token: what the model expects there is fed by the whole circuit and nothing else', () =>
  withKnownModel([knownDictionary('0-r', 'resid_post.0'), knownDictionary('1-r', 'resid_post.1'), knownDictionary('2-r', 'resid_post.2')], async (input, dir) => {
    const found = await circuits({ ...input, dir: await dir('token'), targets: [], outputs: [CLOSING], options: { contexts: 10, follow: [9, 9], seed: 3 } });
    assert.deepEqual(edgesOf(found), [...STREAM_EDGES, '0-r/0 > )', '0-r/1 > )', '1-r/2 > )', '1-r/3 > )', '2-r/4 > )'].sort());
    // With u_4 the token has 8 of logit more than the 11 others, without it as much.
    const effect = Math.log(WORDS_SHARE) * -1 + Math.log(1 / 12);
    for (const edge of found.outputEdges) assert.ok(Math.abs(edge.effect + effect) < 1e-2, `${edge.effect}`);
    assert.equal(found.tokens[0].contexts, 10);
  }));

/** Probability of CLOSE where it is expected. */
const WORDS_SHARE = Math.exp(8) / (Math.exp(8) + 11);

test('the known circuit is all of the behaviour, its complement none; half of it is not enough', () =>
  withKnownModel(dictionariesOfAllKinds(), async (input, dir) => {
    const streams = { ...input, dictionaries: input.dictionaries.filter(({ config }) => config.name.endsWith('-r')), targets: [{ dictionary: '2-r', index: 4 }], outputs: [CLOSING] };
    for (const [name, given] of [['streams', streams], ['all', { ...input, targets: streams.targets, outputs: [CLOSING], options: { sources: 'all' as const } }]] as const) {
      const options = { contexts: 8, follow: [9], ...('options' in given ? given.options : {}) };
      const run = { ...given, dir: await dir(name), options };
      const tested = await circuitsFaithfulness(run, await circuits(run), { ablateTo: ['zero', 'mean'], error: ['keep'] });
      assert.deepEqual(tested.map(({ target, token }) => [target, token]), [[')', true], ['model/2-r/4', false]]);
      for (const { measured } of tested) {
        assert.equal(measured.length, 2);
        for (const { whole, byHookPoint, bySize, ablateTo } of measured) {
          assert.ok(Math.abs(whole.of!.faithfulness - 1) < 1e-2, `${name} ${ablateTo}: ${whole.of!.faithfulness}`);
          assert.ok(Math.abs(whole.of!.completeness) < 1e-2, `${name} ${ablateTo}: ${whole.of!.completeness}`);
          for (const { of } of byHookPoint) assert.ok(Math.abs(of!.faithfulness - 1) < 1e-2 && Math.abs(of!.completeness) < 1e-2);
          assert.ok(Math.abs(bySize[0].faithfulness) < 1e-2, 'one feature alone does nothing');
          assert.equal(bySize.at(-1)!.features, whole.features);
        }
      }
    }
  }));

test('a circuit of two dictionaries of one stream is not tested: both would be taken out of it', () =>
  withKnownModel([knownDictionary('0-r', 'resid_post.0'), knownDictionary('0-s', 'resid_post.0'), knownDictionary('2-r', 'resid_post.2')], async (input, dir) => {
    const run = { ...input, dir: await dir('twice'), targets: [{ dictionary: '2-r', index: 4 }], options: { contexts: 4 } };
    const found = await circuits(run);
    assert.deepEqual(new Set(found.edges.map(({ sourceDictionary }) => sourceDictionary)), new Set(['0-r', '0-s']));
    for (const error of ['keep', 'remove'] as const) {
      const [{ measured }] = await circuitsFaithfulness(run, found, { ablateTo: ['zero'], error: [error] });
      assert.deepEqual(measured, []);
    }
  }));

test('keeping chosen features equals ablating every other one by name, to 0 and to means, errors kept and removed', () =>
  withKnownModel(dictionariesOfAllKinds(), async (input) => {
    const { model, tokens } = input;
    const ids = (await tokens.read([0])).slice(0, 10);
    const rng = new Rng(8);
    const cut = input.dictionaries.slice(0, 4).filter(({ config }) => config.name !== '1-attn');
    const kept = new Map(cut.map((weights) => [weights, new Set([0, 1, 2, 3, 4, 5, 6].filter(() => rng.next() < 0.5))]));
    const means = new Map(cut.map((weights) => [weights, Float32Array.from({ length: 7 }, () => rng.next())]));
    const positions = [...ids.keys()];
    for (const ablateTo of ['zero', means] as const) {
      for (const error of ['keep', 'remove'] as const) {
        const features = cut.flatMap((weights) =>
          [0, 1, 2, 3, 4, 5, 6].filter((index) => error === 'remove' || !kept.get(weights)!.has(index)).map((index) => {
            const stays = kept.get(weights)!.has(index);
            return { weights, index, positions, operation: stays ? ({ kind: 'scale', factor: 1 } as const) : ({ kind: 'ablate_to_mean', mean: ablateTo === 'zero' ? 0 : ablateTo.get(weights)![index] } as const) };
          }));
        const last = ids.length - 1;
        const [slow] = await intervene(model, { prompts: [ids], interventions: [{ prompt: 0, target: null, features, error, measures: { positions: [last], logProbs: [CLOSE] } }] });
        // Beside a longer row, so that padding is there.
        const rows = [{ ids: await tokens.read([1]), kept }, { ids, kept }];
        const quick = await keepOnly(model, cut, rows, { kind: 'token', id: CLOSE }, { ablateTo, error });
        assert.ok(Math.abs(quick[1] - slow.predictions[0].logProbs[0].patched) < 1e-4, `${error}: ${quick[1]} for ${slow.predictions[0].logProbs[0].patched}`);
      }
    }
    const untouched = await keepOnly(model, [], [{ ids, kept: new Map() }], { kind: 'token', id: CLOSE }, { ablateTo: 'zero', error: 'keep' });
    const everything = new Map(cut.map((weights) => [weights, new Set([0, 1, 2, 3, 4, 5, 6])]));
    const same = await keepOnly(model, cut, [{ ids, kept: everything }], { kind: 'token', id: CLOSE }, { ablateTo: means, error: 'keep' });
    assert.equal(same[0], untouched[0], 'keeping everything changes nothing');
  }));

test('features that are silent in a context change exactly nothing, and are not run', () =>
  withKnownModel([knownDictionary('0-r', 'resid_post.0'), knownDictionary('2-r', 'resid_post.2')], async (input, dir) => {
    const found = await circuits({ ...input, dir: await dir('silent'), targets: [{ dictionary: '2-r', index: 4 }], options: { contexts: 5, threshold: 0, candidates: null } });
    const active = new Set<number>();
    for await (const feature of input.artefacts.readRecords<FeatureAnalysis>(input.features.get('0-r')!)) if (feature.density > 0) active.add(feature.index);
    assert.deepEqual([...active], [0, 1, 5, 6]);
    assert.equal(found.nodes[0].silent, 7 - active.size);
    assert.equal(found.nodes[0].unmeasured, 0);
    const ids = (await input.tokens.read([0])).slice(0, 9);
    const [result] = await intervene(input.model, { prompts: [ids], interventions: [{ prompt: 0, target: null, features: [{ weights: input.dictionaries[0], index: 2, operation: { kind: 'ablate' }, positions: [...ids.keys()] }], error: 'keep', measures: { positions: [8], logProbs: [CLOSE] } }] });
    assert.equal(result.predictions[0].logProbs[0].base, result.predictions[0].logProbs[0].patched);
    assert.equal(D, input.model.info.dModel);
  }));

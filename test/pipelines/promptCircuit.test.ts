import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import type { CircuitGraph, CircuitGraphNode } from '../../src/causal/circuitGraph.ts';
import { encode } from '../../src/dictionary/encode.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { Edit, SubjectModel } from '../../src/ports/SubjectModel.ts';
import { likeliestPrompt, measureInPrompt, readCircuitPrompt } from '../../src/pipelines/promptCircuit.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

const IDS = Int32Array.from([3, 17, 5, 29, 11, 7, 2, 19]);
const TOKEN = 13;

let model: SubjectModel;
before(async () => {
  model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
});
after(() => model.close());

function dictionaries() {
  const { dModel } = model.info;
  return [tiedDictionary('0-a', 'resid_post.0', dModel, 24, { seed: 1, bias: -0.6, inputScale: 0.1 }), tiedDictionary('2-a', 'resid_post.2', dModel, 24, { seed: 3, bias: -0.6, inputScale: 0.1 })];
}

const batch = { rows: 1, cols: IDS.length, ids: IDS, lengths: Int32Array.of(IDS.length) };

/** What the run gives with edits: activations of all features [T, F] of the second dictionary, and log-probabilities at the end. */
async function run(edits: readonly Edit[]): Promise<{ codes: Float32Array; logProb: number }> {
  const [, late] = dictionaries();
  const { taps, logits } = await model.forward({ batch, edits, taps: ['resid_post.2'], logits: 'last' });
  const most = Math.max(...logits!);
  const total = logits!.reduce((sum, value) => sum + Math.exp(value - most), 0);
  return { codes: encode(late!, taps.get('resid_post.2')!), logProb: logits![TOKEN]! - most - Math.log(total) };
}

test('in one prompt: where features are active, the probability of the token, and each edge as ablating it by hand gives', async () => {
  const [early, late] = dictionaries();
  const { taps } = await model.forward({ batch, taps: ['resid_post.0'], logits: 'none' });
  const [codes, clean] = [encode(early!, taps.get('resid_post.0')!), await run([])];
  const F = 24;
  const strongest = (all: Float32Array, feature: number) => Array.from({ length: IDS.length }, (_, t) => all[t * F + feature]!).reduce((best, value, t, row) => (value > row[best]! ? t : best), 0);
  const isActive = (all: Float32Array, feature: number): boolean => all[strongest(all, feature) * F + feature]! > 0;
  const indices = Array.from({ length: F }, (_, j) => j);
  const [sources, targets] = [indices.filter((j) => isActive(codes, j)).slice(0, 3), indices.filter((j) => isActive(clean.codes, j)).slice(0, 2)];
  const silent = indices.find((j) => !isActive(codes, j));
  assert.ok(sources.length === 3 && targets.length === 2 && silent !== undefined, 'the prompt has active and silent features');

  const node = (dictionary: string, index: number, place: HookPoint, order: number): CircuitGraphNode => ({ id: `${dictionary}/${index}`, kind: 'feature', dictionary, index, layer: order, place, order, description: null });
  const token: CircuitGraphNode = { id: `token ${TOKEN}`, kind: 'token', dictionary: null, index: TOKEN, layer: 9, place: 'output', order: Infinity, description: 'x' };
  const measured = { effect: 0.5, standardError: 0.1, n: 20 };
  const graph: CircuitGraph = {
    model: 'm', layers: 3, target: token.id, truncated: false,
    nodes: [token, ...targets.map((j) => node('2-a', j, 'resid_post.2', 3)), ...[...sources, silent].map((j) => node('0-a', j, 'resid_post.0', 1))],
    edges: [
      ...targets.map((j) => ({ source: `2-a/${j}`, target: token.id, ...measured })),
      { source: `0-a/${sources[0]}`, target: token.id, ...measured },
      ...targets.flatMap((j) => [...sources, silent].map((i) => ({ source: `0-a/${i}`, target: `2-a/${j}`, ...measured }))),
    ],
  }; // prettier-ignore
  const reading = await readCircuitPrompt(model, dictionaries(), graph, IDS);
  assert.equal(reading.active.has(`0-a/${silent}`), false);
  for (const j of sources) {
    const at = reading.active.get(`0-a/${j}`)!;
    assert.equal(at.position, strongest(codes, j));
    assert.ok(Math.abs(at.activation - codes[at.position * F + j]!) < 1e-4);
    assert.deepEqual(at.positions, indices.slice(0, IDS.length).filter((t) => codes[t * F + j]! > 0));
  }
  assert.ok(Math.abs(Math.log(reading.probability!) - clean.logProb) < 1e-4);

  const edges = await measureInPrompt(model, dictionaries(), graph, IDS, reading);
  assert.equal(edges.length, graph.edges.length - 2, 'a silent source has no edges');
  assert.ok(edges.every(({ n, standardError }) => n === 1 && standardError === 0));
  const D = model.info.dModel;
  for (const [dictionary, weights, all] of [['0-a', early!, codes], ['2-a', late!, clean.codes]] as const) {
    for (const source of dictionary === '0-a' ? sources : targets) {
      // x' = x - s c_j f_j at every position.
      const delta = new Float32Array(IDS.length * D);
      for (let t = 0; t < IDS.length; t++) for (let d = 0; d < D; d++) delta[t * D + d] = -weights.config.outputScale * all[t * F + source]! * weights.decoder[source * D + d]!;
      const ablated = await run([{ at: weights.config.hookPoint, delta }]);
      for (const edge of edges.filter((one) => one.source === `${dictionary}/${source}`)) {
        if (edge.target === token.id) assert.ok(Math.abs(edge.effect - (clean.logProb - ablated.logProb)) < 1e-4);
        else {
          const j = Number(edge.target.split('/')[1]);
          const at = strongest(clean.codes, j) * F + j;
          assert.ok(Math.abs(edge.effect - (clean.codes[at]! - ablated.codes[at]!) / clean.codes[at]!) < 1e-3, `${edge.source} → ${edge.target}`);
        }
      }
    }
  }
  assert.ok(edges.some(({ effect }) => Math.abs(effect) > 0.01), 'something changes');
});

test('the likeliest prompt of a token', async () => {
  const prompts = [IDS, IDS.slice(0, 3), IDS.slice(0, 5)];
  const logits = await Promise.all(prompts.map(async (ids) => {
    const found = await model.forward({ batch: { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) }, taps: [], logits: 'last' });
    return found.logits![TOKEN]! - Math.log(found.logits!.reduce((sum, value) => sum + Math.exp(value), 0));
  })); // prettier-ignore
  assert.equal(await likeliestPrompt(model, prompts, TOKEN), prompts[logits.indexOf(Math.max(...logits))]);
});

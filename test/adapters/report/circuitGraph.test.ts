import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributionGraph, cantorPair, readAttributionGraph, type AttributionFacts } from '../../../src/adapters/report/attributionGraph.ts';
import { circuitDot } from '../../../src/adapters/report/circuitDot.ts';
import { circuitFigure } from '../../../src/adapters/report/circuitFigure.ts';
import { upstream, type CircuitGraph, type CircuitGraphNode } from '../../../src/causal/circuitGraph.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import { parseHtml } from './htmlCheck.ts';

const feature = (id: string, layer: number, description: string | null): CircuitGraphNode => ({ id, kind: 'feature', dictionary: id.split('/')[0]!, index: Number(id.split('/')[1]), layer, place: `resid_post.${layer}`, order: 4 * (layer + 1), description });
const edge = (source: string, target: string, effect: number, n = 20) => ({ source, target, effect, standardError: 0.01, n });

/** A token fed by features of three layers, one of them past another; descriptions that must not become HTML or Graphviz. */
const GRAPH: CircuitGraph = {
  model: 'toy',
  layers: 3,
  target: 'token 9',
  nodes: [
    { id: 'token 9', kind: 'token', dictionary: null, index: 9, layer: 3, place: 'output', order: Infinity, description: '"<)' },
    feature('2-a/5', 2, '<script>alert("x")</script> & more'),
    feature('1-a/7', 1, 'quotes " and \\ and \n a line'),
    feature('1-b/7', 1, null),
    feature('0-a/3', 0, 'commas'),
  ],
  edges: [edge('2-a/5', 'token 9', 1.5), edge('0-a/3', 'token 9', -0.75), edge('1-a/7', '2-a/5', 0.5), edge('1-b/7', '2-a/5', -0.25, 1), edge('0-a/3', '1-a/7', 1)],
  truncated: false,
};

const FACTS: AttributionFacts = {
  prompt: {
    text: 'a (b',
    tokens: ['a', ' (', 'b'],
    active: new Map([['2-a/5', { position: 2, activation: 4 }], ['1-a/7', { position: 1, activation: 2.5 }], ['0-a/3', { position: 1, activation: 1 }]]),
    probability: 0.9375,
  },
  weights: 'corpus',
  sizes: new Map([['0-a', 10], ['1-a', 20], ['1-b', 20], ['2-a', 10]]),
  version: '1.2.3',
  settings: { contexts: 20 },
  finishedAt: '2026-01-02T03:04:05.000Z',
};

test('an attribution graph reads back, with the numbers of the edges', () => {
  const made = attributionGraph(GRAPH, FACTS);
  const read = readAttributionGraph(JSON.stringify(made));
  assert.deepEqual(read, JSON.parse(JSON.stringify(made)));
  assert.deepEqual(read.links.map(({ weight }) => weight), GRAPH.edges.map(({ effect }) => effect));
  const nodes = new Map(read.nodes.map((node) => [node.node_id, node]));
  assert.equal(nodes.size, GRAPH.nodes.length);
  // layer_feature_position; a second dictionary of a layer counts on after the first; a silent feature stands at the end.
  assert.deepEqual(read.nodes.map(({ node_id }) => node_id), ['4_9_2', '2_5_2', '1_7_1', '1_27_2', '0_3_1']);
  assert.deepEqual(read.links.map(({ source, target }) => [source, target]), [['2_5_2', '4_9_2'], ['0_3_1', '4_9_2'], ['1_7_1', '2_5_2'], ['1_27_2', '2_5_2'], ['0_3_1', '1_7_1']]);
  assert.equal(nodes.get('4_9_2')!.clerp, 'Output ""<)" (p=0.938)');
  assert.deepEqual([nodes.get('4_9_2')!.feature_type, nodes.get('4_9_2')!.token_prob, nodes.get('4_9_2')!.feature], ['logit', 0.9375, 9]);
  assert.deepEqual([nodes.get('1_27_2')!.clerp, nodes.get('1_27_2')!.activation, nodes.get('1_27_2')!['address']], ['1-b/7 (silent in this prompt)', 0, 'toy/1-b/7']);
  assert.equal(nodes.get('2_5_2')!.clerp, '<script>alert("x")</script> & more');
  assert.deepEqual(read.metadata.prompt_tokens, ['a', ' (', 'b']);
  assert.equal(read.metadata.slug, 'toy-token-9');
  assert.deepEqual(read.qParams.pinnedIds, ['4_9_2', '2_5_2', '0_3_1']);
  assert.match(read.metadata.info.description, /not in this prompt/);
  assert.equal(read.links[3]!['standard_error'], null, 'one context tells no spread');
});

test("features are numbered by Cantor's pairing, which viewers undo", () => {
  const seen = new Set<number>();
  for (let layer = 0; layer < 30; layer++) {
    for (let index = 0; index < 40; index++) {
      const z = cantorPair(layer, index);
      seen.add(z);
      const w = Math.floor((Math.sqrt(8 * z + 1) - 1) / 2);
      const y = z - (w * (w + 1)) / 2;
      assert.deepEqual([w - y, y], [layer, index]);
    }
  }
  assert.equal(seen.size, 30 * 40);
});

test('what is no attribution graph is refused by name of what is wrong', () => {
  const made = attributionGraph(GRAPH, FACTS);
  const { clerp: _, ...without } = made.nodes[0]!;
  assert.throws(() => readAttributionGraph(JSON.stringify({ ...made, nodes: [without] })), (error: unknown) => error instanceof CallerError && /clerp/.test(error.message));
  assert.throws(() => readAttributionGraph(JSON.stringify({ ...made, metadata: { ...made.metadata, slug: '' } })), /slug/);
});

test('the figure is one page that loads nothing, with every edge, and descriptions as text', () => {
  const html = circuitFigure(GRAPH);
  parseHtml(html);
  assert.ok(!html.includes('<script'));
  assert.ok(html.includes('&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62; &#38; more'));
  assert.equal(html.match(/<rect /g)?.length, GRAPH.nodes.length);
  assert.equal(html.match(/<path /g)?.length, GRAPH.edges.length);
  assert.equal(html.match(/stroke-dasharray/g)?.length, 2, 'edges below 0 are dashed');
  assert.ok(html.includes('0-a/3 → 1-a/7: 100 % ± 2 %, 20 texts'));
  assert.ok(html.includes('1-b/7 → 2-a/5: -25 %, 1 texts'), 'no interval of one text');
  // Upwards all the way: no path turns back on itself.
  for (const [, path] of html.matchAll(/<path d="([^"]+)"/g)) {
    const ys = [...path!.matchAll(/(?:M[\d.]+ |V|C[\d.]+ [\d.]+ [\d.]+ [\d.]+ [\d.]+ )([\d.]+)/g)].map(([, y]) => Number(y));
    assert.ok(ys.length >= 2);
    assert.deepEqual(ys, ys.toSorted((a, b) => b - a));
  }
});

test('Graphviz: pens as in the paper, effects as labels, quoted names', () => {
  const dot = circuitDot(GRAPH);
  assert.ok(dot.includes('"0-a/3" -> "1-a/7" [penwidth=3.30, label="100 %"'));
  assert.ok(dot.includes('"1-a/7" -> "2-a/5" [penwidth=1.80, label="50 %"'));
  // On the token relative to the strongest; below 0 dashed.
  assert.ok(dot.includes('"0-a/3" -> "token 9" [penwidth=1.80, label="-0.75 nats", color="#d55e00", style=dashed]'));
  assert.ok(dot.includes(String.raw`"1-a/7" [label="1-a/7\nquotes \" and \\ and \n a line"]`));
  assert.equal(dot.match(/rank=same/g)?.length, 4);
});

test('upstream keeps the strongest edges of each node, nearest the target first, and ends on cycles', () => {
  const edges = [edge('b', 'a', 0.5), edge('c', 'a', -0.75), edge('d', 'a', 0.25), edge('a', 'b', 0.5), edge('e', 'c', 0.9), edge('f', 'b', 0.05)];
  const of = (bounds: Partial<Parameters<typeof upstream>[2]>) => upstream(edges, 'a', { depth: 9, minEffect: 0.1, perNode: 2, limit: 100, ...bounds });
  const names = (found: ReturnType<typeof of>) => found.edges.map(({ source, target }) => source + target).join(' ');
  assert.equal(names(of({})), 'ca ba ec ab');
  assert.equal(names(of({ perNode: 3 })), 'ca ba da ec ab');
  assert.equal(names(of({ depth: 1 })), 'ca ba');
  assert.equal(names(of({ minEffect: 0 })), 'ca ba ec ab fb');
  assert.deepEqual([names(of({ limit: 3 })), of({ limit: 3 }).truncated, of({}).truncated], ['ca ba ec', true, false]);
});

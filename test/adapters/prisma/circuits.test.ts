import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallerError } from '../../../src/domain/errors.ts';
import type { CircuitEdge, OutputEdge } from '../../../src/domain/feature.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { CircuitRequest, CircuitRows, FeatureKey, TokenKey } from '../../../src/ports/CatalogReader.ts';
import { MODEL, TOKENS, makeConfig, makeLoad, makeRun, stream } from '../../helpers/catalogData.ts';
import { withCatalog, type TestCatalog } from '../../helpers/withCatalog.ts';

const F = 12;
const NAMES = ['0-a', '1-a', '2-a', '3-a'];

const withModel = (work: (catalog: TestCatalog, ids: ReadonlyMap<string, number>) => Promise<void>): Promise<void> =>
  withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    for (const name of NAMES) await catalog.writer.loadDictionary(makeLoad(name, F, [], { config: makeConfig(name, F) }));
    await work(catalog, new Map((await catalog.reader.dictionaries({})).map(({ id, name }) => [name, id])));
  });

const output = (source: string, sourceIndex: number, tokenId: number, effect: number): OutputEdge => ({ sourceDictionary: source, sourceIndex, tokenId, token: '', effect, standardError: 0.25, n: 7 });
const caller = (code: string, message: RegExp) => (error: unknown) => error instanceof CallerError && error.code === code && message.test(error.message);

test('effects on tokens: both ways, strongest first; replaced whole, refused whole, gone with the weights', () =>
  withModel(async ({ reader, writer }, ids) => {
    const run = makeRun('circuits');
    const [zero, one] = [{ dictionaryId: ids.get('0-a')!, index: 3 }, { dictionaryId: ids.get('1-a')!, index: 3 }];
    const outputs = [output('0-a', 3, 7, 0.5), output('0-a', 3, 8, -0.75), output('1-a', 3, 7, -0.25)];
    assert.deepEqual(await writer.loadCircuits('toy', [{ run, edges: [], outputs: stream(outputs) }]), { edges: 0, outputs: 3 });
    const row = (source: FeatureKey, tokenId: number, effect: number) => ({ source, tokenId, effect, standardError: 0.25, n: 7, run: run.key });
    assert.deepEqual(await reader.outputEdges([one, zero, { ...zero, index: 4 }], 10), [[row(one, 7, -0.25)], [row(zero, 8, -0.75), row(zero, 7, 0.5)], []]);
    assert.deepEqual(await reader.outputEdges([zero], 1), [[row(zero, 8, -0.75)]]);
    assert.deepEqual(await reader.tokenSources([{ model: 'toy', id: 7 }, { model: 'nope', id: 7 }, { model: 'toy', id: 8 }], 10), [[row(zero, 7, 0.5), row(one, 7, -0.25)], [], [row(zero, 8, -0.75)]]);

    const before = await reader.outputEdges([zero, one], 10);
    const refused = async (one: OutputEdge, code: string, message: RegExp): Promise<void> => {
      await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [], outputs: [one] }]), caller(code, message));
    };
    await refused(output('0-a', 3, 300, 1), 'BAD_INPUT', /token of an edge from toy\/0-a\/3 is 300/);
    await refused(output('9-z', 3, 3, 1), 'NOT_FOUND', /toy\/9-z/);
    await refused(output('0-a', 3, 3, Number.NaN), 'BAD_INPUT', /effect of edge .* to token 3 is NaN/);
    await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [], outputs: [output('0-a', 3, 3, 1), output('0-a', 3, 3, 1)] }]), caller('BAD_INPUT', /twice/));
    await assert.rejects(writer.loadCircuits('other', [{ run, edges: [] }]), caller('NOT_FOUND', /no model "other"/));
    assert.deepEqual(await reader.outputEdges([zero, one], 10), before);

    // Only those of the dictionaries named are replaced, and a retrained dictionary has none.
    await writer.loadCircuits('toy', [{ run, edges: [] }], ['1-a']);
    assert.deepEqual(await reader.outputEdges([zero, one], 10), [before[0], []]);
    await writer.loadDictionary(makeLoad('0-a', F, [], { config: makeConfig('0-a', F, { weightsHash: 'dd'.repeat(32) }) }));
    assert.deepEqual(await reader.outputEdges([zero], 10), [[]]);
  }));

test('of edges from a dictionary into a target that two runs measured the first run counts; one run may not measure an edge twice', () =>
  withModel(async ({ reader, writer }, ids) => {
    const edge = (effect: number, index = 0): CircuitEdge => ({ sourceDictionary: '0-a', sourceIndex: index, targetDictionary: '1-a', targetIndex: 0, effect, standardError: 0, n: 1 });
    const [late, early] = [makeRun('circuits', 'late'), makeRun('circuits', 'early')];
    const counts = await writer.loadCircuits('toy', [{ run: late, edges: [edge(0.5)], outputs: [output('0-a', 0, 1, 1)] }, { run: early, edges: [edge(0.25), edge(0.75, 1), { ...edge(0.125, 1), sourceDictionary: '2-a' }], outputs: [output('0-a', 0, 1, 2), output('0-a', 3, 1, 2), output('0-a', 0, 2, 3)] }]);
    // What the later run found too weak, as the edge from feature 1, does not come back from the earlier one.
    assert.deepEqual(counts, { edges: 2, outputs: 2 });
    const [found] = await reader.edges([{ dictionaryId: ids.get('1-a')!, index: 0 }], 'incoming', 10);
    assert.deepEqual(found!.map(({ effect, run }) => [effect, run]), [[0.5, late.key], [0.125, early.key]]);
    await assert.rejects(writer.loadCircuits('toy', [{ run: late, edges: [edge(1), edge(1)] }, { run: early, edges: [] }]), caller('BAD_INPUT', /twice/));
  }));

test('edges go with the weights of the model they were measured on', () =>
  withModel(async ({ reader, writer }, ids) => {
    const edge: CircuitEdge = { sourceDictionary: '0-a', sourceIndex: 0, targetDictionary: '1-a', targetIndex: 0, effect: 1, standardError: 0, n: 1 };
    await writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges: [edge], outputs: [output('0-a', 0, 1, 1)] }]);
    const key = { dictionaryId: ids.get('0-a')!, index: 0 };
    const left = async (): Promise<number[]> => [(await reader.edges([key], 'outgoing', 9))[0]!.length, (await reader.outputEdges([key], 9))[0]!.length];
    await writer.loadModel({ ...MODEL, source: 'elsewhere' }, TOKENS);
    assert.deepEqual(await left(), [1, 1]);
    await writer.loadModel({ ...MODEL, weightsHash: 'ee'.repeat(32) }, TOKENS);
    assert.deepEqual(await left(), [0, 0]);
  }));

test('a token is found by its text, which several may share', () =>
  withModel(async ({ reader, writer }) => {
    await writer.loadModel(MODEL, [' a', 'b', ' a', '', 'x'.repeat(5000)]);
    assert.deepEqual(await reader.tokensNamed('toy', ' a', 10), [0, 2]);
    assert.deepEqual(await reader.tokensNamed('toy', ' a', 1), [0]);
    assert.deepEqual(await reader.tokensNamed('toy', 'a', 10), []);
    assert.deepEqual(await reader.tokensNamed('toy', 'x'.repeat(5000), 10), [4]);
    assert.deepEqual(await reader.tokensNamed('nope', 'b', 10), []);
  }));

interface PlainEdge {
  readonly source: string;
  readonly target: string;
  readonly effect: number;
}

/** What circuit() says it answers, by the definition: level by level, the strongest edges of each node of the level. */
function bruteForce(all: readonly PlainEdge[], target: string, { depth, minEffect, perNode, limit }: Omit<CircuitRequest, 'target'>, order: (key: string) => number): { edges: (PlainEdge & { depth: number })[]; truncated: boolean } {
  const strongest = (a: PlainEdge, b: PlainEdge): number => Math.abs(b.effect) - Math.abs(a.effect) || order(a.target) - order(b.target) || order(a.source) - order(b.source);
  const found: (PlainEdge & { depth: number })[] = [];
  const seen = new Set([target]);
  let level = [target];
  for (let d = 0; d < depth && found.length <= limit; d++) {
    const edges = level.flatMap((node) => all.filter((edge) => edge.target === node && Math.abs(edge.effect) >= minEffect).sort(strongest).slice(0, perNode)).sort(strongest);
    found.push(...edges.map((edge) => ({ ...edge, depth: d })));
    level = [...new Set(edges.map(({ source }) => source))].filter((source) => !seen.has(source));
    for (const node of level) seen.add(node);
  }
  return { edges: found.slice(0, limit), truncated: found.length > limit };
}

const plain = (edges: CircuitRows['edges']): (PlainEdge & { depth: number })[] =>
  edges.map(({ depth, kind, row }) => {
    const key = ({ dictionaryId, index }: FeatureKey): string => `${dictionaryId}/${index}`;
    return { source: key(row.source), target: kind === 'token' ? `token ${row.tokenId}` : key(row.target), effect: row.effect, depth };
  });

test('a circuit is what a walk over all edges finds: random graphs with cycles and ties, every bound', () =>
  withModel(async ({ reader, writer, statements }, ids) => {
    const rng = Rng.derive(5, 'circuits');
    const edges = new Map<string, CircuitEdge>();
    // Any dictionary to any, itself included: the statement must end on cycles. Few distinct effects: ties.
    for (let i = 0; i < 260; i++) {
      const [s, t] = [rng.int(4), rng.int(4)];
      const edge: CircuitEdge = { sourceDictionary: NAMES[s]!, sourceIndex: rng.int(F), targetDictionary: NAMES[t]!, targetIndex: rng.int(F), effect: (rng.int(17) - 8) / 8, standardError: 0.1, n: 3 };
      edges.set(`${s}/${edge.sourceIndex} ${t}/${edge.targetIndex}`, edge);
    }
    const outputs = new Map<string, OutputEdge>();
    for (let i = 0; i < 60; i++) {
      const edge = output(NAMES[rng.int(4)]!, rng.int(F), rng.int(3), (rng.int(17) - 8) / 8);
      outputs.set(`${edge.sourceDictionary}/${edge.sourceIndex} ${edge.tokenId}`, edge);
    }
    await writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges: edges.values(), outputs: outputs.values() }]);
    const all: PlainEdge[] = [
      ...Array.from(edges.values(), (edge) => ({ source: `${ids.get(edge.sourceDictionary)}/${edge.sourceIndex}`, target: `${ids.get(edge.targetDictionary)}/${edge.targetIndex}`, effect: edge.effect })),
      ...Array.from(outputs.values(), (edge) => ({ source: `${ids.get(edge.sourceDictionary)}/${edge.sourceIndex}`, target: `token ${edge.tokenId}`, effect: edge.effect })),
    ];
    const order = (key: string): number => {
      const [d, i] = key.split('/').map(Number);
      return key.startsWith('token') ? -1 : d! * 1000 + i!;
    };
    let truncated = 0;
    for (let trial = 0; trial < 60; trial++) {
      const target: FeatureKey | TokenKey = trial % 3 === 0 ? { model: 'toy', id: rng.int(4) } : { dictionaryId: ids.get(NAMES[rng.int(4)]!)!, index: rng.int(F) };
      const bounds = { depth: 1 + rng.int(8), minEffect: rng.int(5) / 8, perNode: 1 + rng.int(6), limit: [1, 5, 25, 500][rng.int(4)]! };
      statements.length = 0;
      const found = await reader.circuit({ target, ...bounds });
      assert.equal(statements.length, 1);
      const expected = bruteForce(all, 'model' in target ? `token ${target.id}` : `${target.dictionaryId}/${target.index}`, bounds, order);
      assert.deepEqual({ edges: plain(found.edges), truncated: found.truncated }, expected, JSON.stringify({ target, bounds }));
      if (found.truncated) truncated++;
    }
    assert.ok(truncated > 10 && truncated < 50, `${truncated} of 60 are truncated`);
  }));

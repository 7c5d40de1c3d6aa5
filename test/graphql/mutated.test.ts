import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Rng } from '../../src/math/rng.ts';
import { at, type Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

const SEEDS = [
  'query Q($n: Int = 3, $a: FeatureAddress!) { features(first: $n, orderBy: SCORE_DESC, filter: { layers: [0, 1], density: { min: 0.01 } }) { nodes { ...F } pageInfo { endCursor } } feature(address: $a) { ...F } } fragment F on Feature { address density exemplars(kinds: [TOP, RANDOM], first: 2) { text tokens { text activation } } incomingEdges(first: 2) { edges { effect node { address } } } }',
  '{ searchFeatures(query: "\\"the comma\\" -river or layer", first: 5, filter: { minScore: -0.5 }) { matched edges { relevance highlight node { id bestScore } } } server { version healthy } }',
  '{ dictionaries(filter: { model: "toy", architectures: [TIED] }, first: 2) { nodes { name quality { fvu } trainRun { params inputs { name } } features(first: 2, filter: { explained: true }) { nodes { topLogits { text value } } } } } }',
  'mutation { patch(input: { model: "toy", base: "a b", features: [{ feature: "toy/0-tied-r2/1", operation: SET, value: 1.5, positions: [0, -1] }], readPositions: [-1] }) { patchRun { id } userErrors { code field message } } }',
  'mutation { explainFeature(input: { feature: "toy/0-tied-r2/1", method: "pattern", scorers: ["simulation"] }) { explanation { madeFrom { row } scores { judge fragments { start } } } skipped userErrors { code field } } }',
  'query ($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on Feature { address } ... on Model { dictionaries { nodes { name } } } } activations(model: "toy", text: "x", topK: 2) { tokens } }',
];
const PIECES = ['{', '}', '(', ')', '[', ']', ':', '!', '...', '$n', '"x"', '""', '-1', '0', '99999999999', '1e400', 'null', 'true', 'first', 'on', '@include(if: false)', '@skip(if: $n)', '\\u0000', '#', '"""', '"\\u0000"', '__schema', 'fragment', '💥'];
const VARIABLES: Record<string, Json>[] = [{}, { n: 2, a: 'toy/0-tied-r2/1', ids: ['x'] }, { n: null, a: null, ids: null }, { n: -1, a: '../..', ids: ['RmVhdHVyZTo='] }, { n: 'x', a: {}, ids: [{}] }, { n: 1e9, a: 'a/b/999999999', ids: Array.from({ length: 101 }, () => 'x') }];

/** Lines of the log: only what failed. */
const failures: string[] = [];

const DOCUMENTS = 10_000;
/** Sent side by side. */
const LANES = 6;

function mutated(rng: Rng): string {
  const tokens = SEEDS[rng.int(SEEDS.length)]!.split(/(?<=[{}()[\]:, ])|(?=[{}()[\]:, ])/);
  // One in ten stays as it is; most change in several places.
  for (let changes = rng.int(10) === 0 ? 0 : 1 + rng.int(5); changes > 0; changes--) {
    const place = rng.int(tokens.length);
    const kind = rng.int(4);
    if (kind === 0) tokens.splice(place, 1);
    else if (kind === 1) tokens.splice(place, 0, PIECES[rng.int(PIECES.length)]!);
    else if (kind === 2) tokens[place] = tokens[rng.int(tokens.length)]!;
    else tokens.splice(place, 0, ...tokens.slice(rng.int(tokens.length)).slice(0, rng.int(30)));
  }
  return tokens.join('');
}

test('ten thousand mutated documents are answered or refused, never crash: no 5xx, no failure of our own, and a reader beside gets every answer', async (t) => {
  await withServer({ seed: { features: 15 }, server: { log: pino({ level: 'error' }, { write: (line: string) => void failures.push(line) }) } }, async ({ send, ask }) => {
    const statuses = new Map<number, number>();
    const left = { documents: DOCUMENTS };
    const lane = async (_: unknown, seed: number): Promise<void> => {
      const rng = new Rng(20260101 + seed);
      while (left.documents > 0) {
        left.documents--;
        const query = mutated(rng);
        const { status, errors } = await send(query, VARIABLES[rng.int(VARIABLES.length)]);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        assert.ok(status < 500, `${status}: ${query}`);
        const failed = errors.find((error) => error.extensions['code'] === 'INTERNAL_SERVER_ERROR' || error.extensions['code'] === 'SERVICE_UNAVAILABLE');
        assert.equal(failed, undefined, `${query}\n${failures.join('')}`);
      }
    };
    let read = 0;
    const reader = async (): Promise<void> => {
      for (; left.documents > 0; read++) assert.equal(at(await ask('{ feature(address: "toy/0-tied-r2/1") { address } }'), 'feature.address'), 'toy/0-tied-r2/1');
    };
    await Promise.all([...Array.from({ length: LANES }, lane), reader()]);
    t.diagnostic(`${[...statuses].map(([status, n]) => `${n} answered ${status}`).join(', ')}; ${read} reads beside`);
    // Mutation must leave enough that runs, or the test says nothing about resolvers.
    assert.ok((statuses.get(200) ?? 0) > 1000);
    // One of LANES + 1 that take turns: not served, it would have read little.
    assert.ok(read > DOCUMENTS / LANES / 10, `${read} reads`);
  });
});

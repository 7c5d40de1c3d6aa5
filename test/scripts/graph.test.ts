import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { circuitKeys } from '../../scripts/stages/loadCircuits.ts';
import { readAttributionGraph } from '../../src/adapters/report/attributionGraph.ts';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { openRunStore } from '../../src/adapters/files/runStore.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { runCli } from '../helpers/cli.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');

/** What circuits leaves for two dictionaries of the demo model, written by hand: no model is trained or run. */
async function writeCircuits(home: string): Promise<void> {
  const artefacts = fileArtefacts();
  const hashes: Record<string, string> = {};
  for (const layer of [0, 1]) {
    const name = `${layer}-a`;
    const weights = tiedDictionary(name, `resid_post.${layer}`, 192, 64, { seed: layer + 1, bias: -0.2 });
    const { config } = await artefacts.writeDictionary(join(home, 'dictionaries', name), { ...weights, config: { ...weights.config, model: 'demo' } }, null);
    hashes[name] = config.weightsHash;
  }
  const edge = (source: number, target: number, effect: number) => ({ sourceDictionary: '0-a', sourceIndex: source, targetDictionary: '1-a', targetIndex: target, effect, standardError: 0.05, n: 20 });
  const ports = { store: openRunStore(home, { codeVersion: 'test' }), progress: quietProgress() };
  // An earlier run on the same dictionaries: what it says of 1-a/7 is measured again below, what it says of 1-a/5 stands.
  const earlier = await runStage(ports, { stage: 'circuits', params: { contextTokens: 16, targets: ['demo/1-a/5'], tokens: [] }, inputs: hashes, seed: 0 }, async (run) => {
    await artefacts.writeRecords(join(run.dir, 'edges.ndjson'), [edge(3, 5, 0.375), edge(3, 7, 0.875)]);
    return {};
  });
  const result = await runStage(ports, { stage: 'circuits', params: { contextTokens: 16, targets: ['demo/1-a/8'], tokens: [')'] }, inputs: hashes, seed: 0 }, async (run) => {
    await artefacts.writeRecords(join(run.dir, 'edges.ndjson'), [edge(4, 7, 0.5), edge(9, 7, -0.25), edge(4, 8, 0.125)]);
    await artefacts.writeRecords(join(run.dir, 'output-edges.ndjson'), [{ sourceDictionary: '1-a', sourceIndex: 7, tokenId: 9, token: ')', effect: 0.75, standardError: 0.05, n: 20 }]);
    return {};
  });
  await mkdir(join(home, 'current'), { recursive: true });
  const dictionary = (name: string) => ({ train: 'none', weights: `dictionaries/${name}`, tokens: 'none', trainRows: 0, analyse: null, explain: {} });
  await updateCurrentRuns(home, 'demo', MODEL, (current) => ({ ...current, dictionaries: { '0-a': dictionary('0-a'), '1-a': dictionary('1-a') }, circuits: { a: [earlier, result].map(({ dir }) => dir.slice(home.length + 1)) } }));
}

test('graph: a figure, Graphviz and an attribution graph from what circuits left; mistakes are named', () =>
  withFolder(async (home) => {
    await writeCircuits(home);
    const graph = (args: readonly string[], expected = 0) => runCli(home, ['graph', '--model', 'demo', '--set', 'a', ...args], expected);
    await graph(['--out', join(home, 'first.html')]);
    assert.match(await readFile(join(home, 'first.html'), 'utf8'), /What feeds 1-a\/8 in demo/, "the run's target, not that of its first edge");
    await graph(['--target', 'demo/1-a/7', '--out', join(home, 'c.html')]);
    const html = await readFile(join(home, 'c.html'), 'utf8');
    assert.ok(html.includes('What feeds 1-a/7 in demo') && html.includes('0-a/4 → 1-a/7: 50 %') && !html.includes('1-a/8') && !html.includes('0-a/3'));
    await graph(['--target', 'demo/1-a/5', '--out', join(home, 'earlier.html')]);
    assert.match(await readFile(join(home, 'earlier.html'), 'utf8'), /0-a\/3 → 1-a\/5: 3[78] %/);
    await graph(['--token', ')', '--min-effect', '0.3', '--out', join(home, 'c.gv')]);
    const dot = await readFile(join(home, 'c.gv'), 'utf8');
    assert.ok(dot.includes('"1-a/7" -> "token 9"') && dot.includes('"0-a/4" -> "1-a/7"') && !dot.includes('0-a/9'));
    await graph(['--token', ')', '--prompt', 'The man (who was here) went to the shop (', '--out', join(home, 'c.json')]);
    const { nodes, links, metadata } = readAttributionGraph(await readFile(join(home, 'c.json'), 'utf8'));
    assert.deepEqual(links.map(({ weight }) => weight), [0.75, 0.5, -0.25]);
    assert.equal(metadata.prompt_tokens.at(-1), ' (');
    assert.deepEqual(nodes.map(({ feature_type }) => feature_type === 'logit'), [true, false, false, false]);
    assert.ok(nodes[0]!.token_prob > 0 && nodes[0]!.token_prob < 1);

    assert.match(await graph(['--target', 'demo/1-a/9', '--out', join(home, 'x.html')], 2), /nothing was measured that feeds demo\/1-a\/9.*demo\/1-a\/7, demo\/1-a\/8, demo\/1-a\/5/s);
    assert.match(await graph(['--token', 'zzz', '--out', join(home, 'x.html')], 2), /feeds the token "zzz".*choose one of "\)"/s);
    assert.match(await graph(['--set', 'b', '--out', join(home, 'x.html')], 2), /no circuits of set b .* there are those of a/s);
    assert.match(await graph(['--out', join(home, 'x.txt')], 2), /its ending says no format/);
    assert.match(await graph(['--weights', 'prompt', '--out', join(home, 'x.dot')], 2), /are for attribution graphs/);
    await writeFile(join(home, 'current', 'demo.json'), (await readFile(join(home, 'current', 'demo.json'), 'utf8')).replace('"weights": "dictionaries/0-a"', '"weights": "dictionaries/1-a"'));
    assert.match(await graph(['--out', join(home, 'x.html')], 2), /were measured on an earlier demo\/0-a/);
  }));

test('circuits of several sets are loaded with any of them, once all are there', () => {
  const keys = ['a', 'b', 'a+b', 'b+c', 'd'];
  assert.deepEqual(circuitKeys(keys, 'a', new Set(['a'])), { keys: ['a'], sets: ['a'] });
  assert.deepEqual(circuitKeys(keys, 'a', new Set(['a', 'b', 'd'])), { keys: ['a', 'b', 'a+b'], sets: ['a', 'b'] });
  assert.deepEqual(circuitKeys(keys, 'a', new Set(['a', 'b', 'c', 'd'])), { keys: ['a', 'b', 'a+b', 'b+c'], sets: ['a', 'b', 'c'] });
});

import { join } from 'node:path';
import { ablationEdges, type AblationEdge } from '../../src/pipelines/ablationEdges.ts';
import { gradientAttribution, type Attribution } from '../../src/pipelines/circuitAttribution.ts';
import { CircuitTexts } from '../../src/pipelines/circuitContexts.ts';
import { CIRCUIT_DEFAULTS } from '../../src/pipelines/circuitOptions.ts';
import { sourcesOf } from '../../src/pipelines/circuitTarget.ts';
import { featuresPath, openSet } from '../stages/dictionarySet.ts';
import { withTokens } from '../stages/tokens.ts';
import { locateModel, openWorkspace, withModel } from '../workspace.ts';

/**
 * How many of the sources that matter are among the candidates: recall of the ten strongest sources and of those with a mean
 * relative drop of at least 0.01, against ablating every active one, for features of the last dictionaries of an analysed
 * catalog. Usage: CATALOG_HOME=… node scripts/bench/circuit-proposals.ts [model] [set] [features] [contexts]
 */
const [name = 'demo', set = 'tied-r4', features = '6', contexts = '10'] = process.argv.slice(2);
const workspace = openWorkspace();
const located = await locateModel(workspace, { model: name });
await withModel(workspace, located, { model: name }, async (model) => {
  const members = await openSet(workspace, located.name, set);
  const dictionaries = members.map(({ weights }) => weights);
  const options = { ...CIRCUIT_DEFAULTS, contexts: Number(contexts) };
  const input = { model, dictionaries, features: new Map(members.map((member) => [member.name, featuresPath(workspace, member)])), artefacts: workspace.artefacts };
  await withTokens(join(workspace.config.home, members[0].current.analysedTokens ?? members[0].current.tokens), async (tokens) => {
    const texts = new CircuitTexts({ ...input, tokens }, options);
    const ways: Record<string, Attribution | null> = { heuristic: null, gradient: gradientAttribution(model, options.batchTokens), 'integrated (4 steps)': gradientAttribution(model, options.batchTokens, 4) };
    const found = new Map<string, { top: number; topOf: number; strong: number; strongOf: number }>();
    const said = (edge: AblationEdge): string => `${edge.source.config.name}/${edge.index}`;
    let exhaustive = 0;
    for (let i = 0; i < Number(features); i++) {
      // Spread over the indices, alternately of the last two dictionaries.
      const weights = dictionaries[dictionaries.length - 1 - (i % 2)];
      const target = { kind: 'feature', weights, index: Math.floor(((i + 0.5) / Number(features)) * weights.config.nFeatures) } as const;
      const places = await texts.of({ dictionary: weights.config.name, index: target.index });
      const sources = sourcesOf(target, dictionaries, 'previous');
      const all = await ablationEdges(model, sources, target, places, { ...options, candidates: null });
      exhaustive += all.ablations;
      const top = all.edges.slice(0, 10).map(said);
      const strong = all.edges.filter(({ effect }) => Math.abs(effect) >= options.threshold).map(said);
      process.stderr.write(`${weights.config.name}/${target.index}: ${all.contexts} contexts, ${all.edges.length} active, ${strong.length} at least ${options.threshold}\n`);
      for (const [way, attribute] of Object.entries(ways)) {
        for (const candidates of [16, 32, 96]) {
          const some = new Set((await ablationEdges(model, sources, target, places, { ...options, candidates }, attribute)).edges.map(said));
          const key = `${way}, ${candidates} candidates`;
          const sum = found.get(key) ?? { top: 0, topOf: 0, strong: 0, strongOf: 0 };
          found.set(key, { top: sum.top + top.filter((one) => some.has(one)).length, topOf: sum.topOf + top.length, strong: sum.strong + strong.filter((one) => some.has(one)).length, strongOf: sum.strongOf + strong.length });
        }
      }
    }
    for (const [key, { top, topOf, strong, strongOf }] of found) process.stdout.write(`${key}: top ten ${(top / topOf).toFixed(3)} of ${topOf}, at least ${options.threshold} ${(strong / strongOf).toFixed(3)} of ${strongOf}\n`);
    process.stdout.write(`exhaustive: ${exhaustive} ablations\n`);
  });
});

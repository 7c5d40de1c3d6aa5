import { join } from 'node:path';
import { halfWidth95 } from '../../src/causal/interval.ts';
import type { CircuitEdge, OutputEdge } from '../../src/domain/feature.ts';
import type { TargetFaithfulness } from '../../src/pipelines/circuitsTested.ts';
import type { Workspace } from '../workspace.ts';
import { explanationsOf } from './circuitTargets.ts';
import type { SetMember } from './dictionarySet.ts';

/** Sources shown of each node. */
const SHOWN = 3;
const LONGEST = 70;

/** Says what was found: each target's strongest sources and theirs, with descriptions where there are any, and how faithful the circuit is. */
export async function sayCircuits(workspace: Workspace, model: string, members: readonly SetMember[], dir: string, named: { readonly targets: readonly string[]; readonly tokens: readonly string[] }, tested: readonly TargetFaithfulness[]): Promise<void> {
  const { artefacts, progress } = workspace;
  const into = new Map<string, { source: string; text: string }[]>();
  const add = (target: string, edge: CircuitEdge | OutputEdge, text: string): void => {
    into.set(target, [...(into.get(target) ?? []), { source: `${model}/${edge.sourceDictionary}/${edge.sourceIndex}`, text }]);
  };
  for await (const edge of artefacts.readRecords<OutputEdge>(join(dir, 'output-edges.ndjson'))) add(`token ${edge.token}`, edge, measured(edge, 1, 2, ' nats'));
  for await (const edge of artefacts.readRecords<CircuitEdge>(join(dir, 'edges.ndjson'))) add(`${model}/${edge.targetDictionary}/${edge.targetIndex}`, edge, measured(edge, 100, 0, ' %'));
  const descriptions = await describe(workspace, model, members);
  const shown = new Set<string>();
  const tree = (key: string, indent: string): void => {
    if (shown.has(key)) return;
    shown.add(key);
    for (const { source, text } of (into.get(key) ?? []).slice(0, SHOWN)) {
      const again = shown.has(source) && into.has(source) ? ' (above)' : '';
      progress.say(`${indent}${text}  ${source}  ${descriptions.get(source) ?? ''}${again}`);
      tree(source, `${indent}    `);
    }
  };
  for (const [i, { target, token, measured: results }] of tested.entries()) {
    const key = token ? `token ${named.tokens[i]}` : target;
    progress.say(`${token ? `token ${JSON.stringify(target)}` : `${target}  ${descriptions.get(target) ?? ''}`}: ${into.get(key)?.length ?? 0} sources`);
    tree(key, '  ');
    if (results.length === 0) progress.say('  faithfulness: not measured, for there is no circuit, or two of its dictionaries write at one place');
    for (const result of results) {
      const { whole, byHookPoint, bySize } = result;
      const ratio = (value: number | undefined): string => (value === undefined ? 'not defined' : value.toFixed(2));
      progress.say(`  faithfulness (others to ${result.ablateTo}, error terms ${result.error === 'keep' ? 'kept' : 'removed'}): ${ratio(whole.of?.faithfulness)} with ${whole.features} features, ${ratio(whole.of?.completeness)} without them`);
      progress.say(`    by hook point: ${byHookPoint.map(({ hookPoint, features, of }) => `${hookPoint} ${ratio(of?.faithfulness)} (${features}; ${ratio(of?.completeness)} without)`).join(', ')}`);
      if (bySize.length > 1) progress.say(`    by size: ${bySize.map(({ features, faithfulness }) => `${features}: ${ratio(faithfulness)}`).join(', ')}`);
    }
  }
}

function measured(edge: CircuitEdge | OutputEdge, factor: number, digits: number, unit: string): string {
  const half = halfWidth95(edge);
  return `${(edge.effect * factor).toFixed(digits)}${half === null ? '' : ` ± ${(half * factor).toFixed(digits)}`}${unit}`;
}

/** Descriptions by address. */
async function describe(workspace: Workspace, model: string, members: readonly SetMember[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const member of members) {
    for await (const { index, description } of explanationsOf(workspace, member)) {
      found.set(`${model}/${member.name}/${index}`, description.length > LONGEST ? `${description.slice(0, LONGEST)}…` : description);
    }
  }
  return found;
}

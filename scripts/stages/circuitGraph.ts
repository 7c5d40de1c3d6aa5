import { join } from 'node:path';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { upstream, type CircuitGraph, type CircuitGraphEdge, type CircuitGraphNode, type UpstreamBounds } from '../../src/causal/circuitGraph.ts';
import { hookOrder } from '../../src/causal/hookOrder.ts';
import { parseAddress } from '../../src/domain/address.ts';
import { CallerError, invariant } from '../../src/domain/errors.ts';
import type { CircuitEdge, OutputEdge } from '../../src/domain/feature.ts';
import { parseHookPoint } from '../../src/domain/hookPoint.ts';
import type { Run } from '../../src/domain/run.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { explanationsOf } from './circuitTargets.ts';
import { openSet, type SetMember } from './dictionarySet.ts';
import { EDGES_FILE, OUTPUT_EDGES_FILE } from './loadCircuits.ts';

export interface GraphChoice {
  /** Set of dictionaries the circuits were measured on, or several, `a+b`. */
  readonly set: string;
  /** Feature address; null: `token`, or else the run's first target into which there are edges, features before tokens. */
  readonly target: string | null;
  /** Output token, as text. */
  readonly token: string | null;
  readonly bounds: UpstreamBounds;
}

export interface FoundGraph {
  readonly graph: CircuitGraph;
  /** The circuits run that measured the target. */
  readonly run: Run;
  readonly members: readonly SetMember[];
}

/** The graph upstream of a target, from what the circuits runs of the set left; of a feature that several measured, the last counts: no model and no database is opened. `layers`: of the model. */
export async function circuitGraphOf(workspace: Workspace, located: LocatedModel, layers: number, choice: GraphChoice): Promise<FoundGraph> {
  const { config, artefacts } = workspace;
  const current = (await readCurrentRuns(config.home, located.name))?.circuits ?? {};
  const folders = current[choice.set];
  if (folders === undefined) {
    const keys = Object.keys(current);
    throw new CallerError('NOT_FOUND', `no circuits of set ${choice.set} of model ${located.name} in ${config.home}: ${keys.length === 0 ? 'run the circuits stage first' : `there are those of ${keys.join(', ')}; choose one with --set`}`);
  }
  const members = (await Promise.all(choice.set.split('+').map((set) => openSet(workspace, located.name, set)))).flat();
  const edges: CircuitGraphEdge[] = [];
  const tokens = new Map<string, string>();
  const measuredBy = new Map<string, Run>();
  let [stale, last]: [stale?: SetMember, last?: Run] = [];
  for (const folder of folders.toReversed()) {
    const { run, dir } = await readManifest(join(config.home, folder));
    const outdated = members.find(({ name, weights }) => run.inputs[name] !== undefined && run.inputs[name] !== weights.config.weightsHash);
    stale ??= outdated;
    if (outdated !== undefined) continue;
    last ??= run;
    const take = (edge: CircuitGraphEdge): void => {
      if (!measuredBy.has(edge.target)) measuredBy.set(edge.target, run);
      if (measuredBy.get(edge.target) === run) edges.push(edge);
    };
    for await (const { sourceDictionary, sourceIndex, targetDictionary, targetIndex, ...measured } of artefacts.readRecords<CircuitEdge>(join(dir, EDGES_FILE))) {
      take({ source: `${sourceDictionary}/${sourceIndex}`, target: `${targetDictionary}/${targetIndex}`, ...measured });
    }
    for await (const { sourceDictionary, sourceIndex, tokenId, token, ...measured } of artefacts.readRecords<OutputEdge>(join(dir, OUTPUT_EDGES_FILE), { optional: true })) {
      take({ source: `${sourceDictionary}/${sourceIndex}`, target: `token ${tokenId}`, ...measured });
      tokens.set(`token ${tokenId}`, token);
    }
  }
  if (last === undefined) throw new CallerError('STALE_OUTPUT', `the circuits of ${choice.set} were measured on an earlier ${located.name}/${stale?.name}: run the circuits stage again`);
  const target = targetOf(choice, located.name, last, edges, tokens);
  const found = upstream(edges, target, choice.bounds);
  if (found.edges.length === 0) throw new CallerError('NOT_FOUND', `no edge into ${target} has an effect of at least ${choice.bounds.minEffect}: lower --min-effect, or measure circuits with a lower --threshold`);
  const ids = [...new Set([target, ...found.edges.flatMap(({ source, target: end }) => [end, source])])];
  const descriptions = await describe(workspace, members, ids);
  const nodes = ids.map((id): CircuitGraphNode => {
    const text = tokens.get(id);
    if (text !== undefined) return { id, kind: 'token', dictionary: null, index: Number(id.slice('token '.length)), layer: layers, place: 'output', order: Infinity, description: text };
    const [dictionary, index] = id.split('/');
    const weights = members.find(({ name }) => name === dictionary)?.weights;
    if (weights === undefined) throw new CallerError('STALE_OUTPUT', `the circuits of ${choice.set} name dictionary ${dictionary}, which is not there any more: run the circuits stage again`);
    const { hookPoint } = weights.config;
    return { id, kind: 'feature', dictionary: dictionary!, index: Number(index), layer: parseHookPoint(hookPoint, layers).layer, place: hookPoint, order: hookOrder(hookPoint), description: descriptions.get(id) ?? null };
  });
  return { graph: { model: located.name, layers, target, nodes, ...found }, run: measuredBy.get(target)!, members };
}

function targetOf({ target, token, set }: GraphChoice, model: string, run: Run | undefined, edges: readonly CircuitGraphEdge[], tokens: ReadonlyMap<string, string>): string {
  const measured = new Set(edges.map((edge) => edge.target));
  if (target !== null) {
    const address = parseAddress(target);
    const id = `${address.dictionary}/${address.index}`;
    if (address.model !== model) throw new CallerError('BAD_INPUT', `target ${target}: expected a feature of model ${model}`);
    if (!measured.has(id)) throw new CallerError('NOT_FOUND', `nothing was measured that feeds ${target}: give it to the circuits command as a target first, or choose one of ${listed([...measured].filter((one) => !tokens.has(one)).map((one) => `${model}/${one}`))}`);
    return id;
  }
  if (token !== null) {
    const found = [...tokens].find(([, text]) => text === token)?.[0];
    if (found !== undefined) return found;
    throw new CallerError('NOT_FOUND', `nothing was measured that feeds the token ${JSON.stringify(token)}: give it to the circuits command first${tokens.size === 0 ? '' : `, or choose one of ${listed([...tokens.values()].map((text) => JSON.stringify(text)))}`}`);
  }
  // Those of the run itself: among its edges, those into a token's sources come before the others.
  const { targets = [], tokens: outputs = [] } = (run?.params ?? {}) as { readonly targets?: readonly string[]; readonly tokens?: readonly string[] };
  const wanted = [...targets.map((address) => address.slice(model.length + 1)), ...outputs.flatMap((text) => [...tokens].find(([, found]) => found === text)?.[0] ?? [])];
  const chosen = wanted.find((id) => measured.has(id));
  if (chosen !== undefined) return chosen;
  const [first] = edges;
  if (first === undefined) throw new CallerError('NOT_FOUND', `the circuits of ${set} have no edges: measure some with a lower --threshold, or other targets`);
  return first.target;
}

const LISTED = 8;

function listed(names: readonly string[]): string {
  return names.length <= LISTED ? names.join(', ') : `${names.slice(0, LISTED).join(', ')} and ${names.length - LISTED} more`;
}

/** Descriptions of the features among the ids. */
async function describe(workspace: Workspace, members: readonly SetMember[], ids: readonly string[]): Promise<Map<string, string>> {
  const wanted = new Set(ids);
  const found = new Map<string, string>();
  for (const member of members) {
    if (!ids.some((id) => id.startsWith(`${member.name}/`))) continue;
    for await (const { index, description } of explanationsOf(workspace, member)) {
      const id = `${member.name}/${index}`;
      if (wanted.has(id)) found.set(id, description);
    }
  }
  return found;
}

/** The member of a name; it is there. */
export function memberOf(members: readonly SetMember[], name: string): SetMember {
  const found = members.find((member) => member.name === name);
  invariant(found !== undefined, `no dictionary ${name}`);
  return found;
}

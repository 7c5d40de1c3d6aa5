import { join } from 'node:path';
import { hookOrder } from '../causal/hookOrder.ts';
import { outputHookPointOf, type DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { CircuitEdge, FeatureAnalysis } from '../domain/feature.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import { ablationEdges, type Context } from './ablationEdges.ts';

export interface CircuitNode {
  readonly dictionary: string;
  readonly index: number;
}

export interface CircuitOptions {
  /** Top exemplars measured per feature; default 20. */
  readonly contexts: number;
  /** Edges of smaller |effect| are dropped; default 0.01. */
  readonly threshold: number;
  /** Edges kept per feature, strongest first; default 32. */
  readonly keep: number;
  /**
   * How many of a feature's strongest sources are followed further, by depth: the first number for the targets, the last
   * one for all greater depths; default [3, 1], as in the paper's figure.
   */
  readonly follow: readonly number[];
  /** Sources of a feature: `previous` = dictionaries that write at the nearest earlier hook point (the paper); `all` = at every earlier one. */
  readonly sources: 'previous' | 'all';
  /**
   * Longest context in tokens; default 64 (the paper took 30). A longer one keeps the row's first token, which attention
   * rests on, and its last ones. A context counts when the feature still reaches half its activation in it.
   */
  readonly contextTokens: number;
  /** Active source features ablated per feature and source dictionary, proposed by src/causal/proposeSources.ts; default 96, null = all (the paper). */
  readonly candidates: number | null;
  /** Tokens of one forward run; default 4096. */
  readonly batchTokens: number;
}

export const CIRCUIT_DEFAULTS: CircuitOptions = { contexts: 20, threshold: 0.01, keep: 32, follow: [3, 1], sources: 'previous', contextTokens: 64, candidates: 96, batchTokens: 4096 };

export interface CircuitsInput {
  readonly model: SubjectModel;
  /** Dictionaries whose features may be in the circuit. */
  readonly dictionaries: readonly DictionaryWeights[];
  /** Path of each dictionary's feature records, by name, as analyse wrote them. */
  readonly features: ReadonlyMap<string, string>;
  /** The token file analyse read. */
  readonly tokens: TokenRows;
  readonly targets: readonly CircuitNode[];
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** The run's own folder, which exists: edges.ndjson is written there, and the resume log. */
  readonly dir: string;
  readonly options?: Partial<CircuitOptions>;
}

/** One feature whose sources were measured; a line of the resume log. */
export interface MeasuredNode extends CircuitNode {
  readonly edges: readonly CircuitEdge[];
  /** Contexts the effects are means over; 0 when the feature never fires in the text, or nothing lies before it. */
  readonly contexts: number;
  readonly ablations: number;
  /** Source features silent in all contexts, whose effect is exactly 0. */
  readonly silent: number;
  /** Active source features that were no candidates, whose effect is not known. */
  readonly unmeasured: number;
}

export interface CircuitsResult {
  /** `edges.ndjson` in the run's folder: one CircuitEdge a line. */
  readonly file: string;
  readonly hash: string;
  readonly edges: readonly CircuitEdge[];
  readonly nodes: readonly MeasuredNode[];
  /** Ablations run in this call and the seconds they took; resumed nodes are not in it. */
  readonly ablations: number;
  readonly seconds: number;
}

/**
 * What feeds each target feature, through all earlier dictionaries: measures every source feature by ablation in the
 * feature's own top contexts (ablationEdges), keeps the strong edges, and goes on with the strongest sources. A feature
 * reached twice is measured once, so the result is a graph. Continues after a crash from the features already measured.
 */
export async function circuits(input: CircuitsInput): Promise<CircuitsResult> {
  const options = { ...CIRCUIT_DEFAULTS, ...input.options };
  const byName = new Map(input.dictionaries.map((weights) => [weights.config.name, weights]));
  for (const target of input.targets) checkTarget(target, byName, input);
  const log = join(input.dir, 'measured.ndjson');
  const measured = new Map<string, MeasuredNode>();
  for await (const node of input.artefacts.readRecords<MeasuredNode>(log, { optional: true })) measured.set(keyOf(node), node);
  const contexts = contextReader(input, options);

  /** By key, in the order first reached. */
  const reached = new Map<string, MeasuredNode>();
  const started = performance.now();
  let ablations = 0;
  const sourcesOf = async (node: CircuitNode): Promise<MeasuredNode> => {
    const key = keyOf(node);
    let found = reached.get(key) ?? measured.get(key);
    if (found === undefined) {
      found = await measure(input, options, node, byName, contexts);
      ablations += found.ablations;
      await input.artefacts.appendRecords(log, [found]);
    }
    reached.set(key, found);
    return found;
  };
  const task = input.progress.start('circuits', input.targets.length, 'targets');
  for (const [done, target] of input.targets.entries()) {
    let level: CircuitNode[] = [target];
    for (let depth = 0; level.length > 0; depth++) {
      const follow = options.follow[Math.min(depth, options.follow.length - 1)];
      const next = new Map<string, CircuitNode>();
      for (const node of level) {
        for (const { sourceDictionary, sourceIndex } of (await sourcesOf(node)).edges.slice(0, follow)) {
          const source = { dictionary: sourceDictionary, index: sourceIndex };
          next.set(keyOf(source), source);
        }
        task.update(done, `${reached.size} features, ${ablations} ablations`);
      }
      level = [...next.values()];
    }
  }
  const order = [...reached.values()];
  const seconds = (performance.now() - started) / 1000;
  const edges = order.flatMap((node) => node.edges);
  const file = 'edges.ndjson';
  const { hash } = await input.artefacts.writeRecords(join(input.dir, file), edges);
  task.finish(`${edges.length} edges, ${ablations} ablations`);
  return { file, hash, edges, nodes: order, ablations, seconds };
}

async function measure(
  input: CircuitsInput,
  options: CircuitOptions,
  node: CircuitNode,
  byName: ReadonlyMap<string, DictionaryWeights>,
  contextsOf: (node: CircuitNode) => Promise<Context[]>,
): Promise<MeasuredNode> {
  const weights = byName.get(node.dictionary);
  invariant(weights !== undefined, `no dictionary ${node.dictionary}`);
  const contexts = await contextsOf(node);
  const sources = earlier(weights, input.dictionaries, options.sources);
  let [ablations, silent, unmeasured, counted] = [0, 0, 0, 0];
  const edges: CircuitEdge[] = [];
  for (const source of contexts.length === 0 ? [] : sources) {
    const report = await ablationEdges(input.model, source, { weights, index: node.index }, contexts, options);
    ablations += report.ablations;
    silent += report.silent;
    unmeasured += report.unmeasured;
    counted = report.contexts;
    for (const { index, effect, standardError, n } of report.edges) {
      if (Math.abs(effect) < options.threshold) break; // strongest first
      edges.push({ sourceDictionary: source.config.name, sourceIndex: index, targetDictionary: node.dictionary, targetIndex: node.index, effect, standardError, n });
    }
  }
  edges.sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  return { ...node, edges: edges.slice(0, options.keep), contexts: counted, ablations, silent, unmeasured };
}

/**
 * Dictionaries that are read before `weights` is and write no later than that: all, or those that write at the latest such
 * point. An autoencoder writes where it reads; a transcoder can feed one that is read right where it writes.
 */
function earlier(weights: DictionaryWeights, all: readonly DictionaryWeights[], which: 'previous' | 'all'): DictionaryWeights[] {
  const reads = (one: DictionaryWeights): number => hookOrder(one.config.hookPoint);
  const writes = (one: DictionaryWeights): number => hookOrder(outputHookPointOf(one.config));
  const before = all.filter((one) => reads(one) < reads(weights) && writes(one) <= reads(weights)).sort((a, b) => writes(b) - writes(a));
  return which === 'all' ? before : before.filter((one) => writes(one) === writes(before[0]));
}

/** Where a feature's top exemplars peak, and how high. */
interface Peak {
  readonly row: number;
  readonly position: number;
  readonly activation: number;
}

/** Reads a dictionary's feature records once, on first use, and keeps only the peaks. */
function contextReader({ features, tokens, artefacts }: CircuitsInput, { contexts, contextTokens }: CircuitOptions): (node: CircuitNode) => Promise<Context[]> {
  const peaks = new Map<string, Promise<Map<number, Peak[]>>>();
  const load = async (dictionary: string): Promise<Map<number, Peak[]>> => {
    const path = features.get(dictionary);
    if (path === undefined) throw new CallerError('NOT_FOUND', `dictionary ${dictionary} has no analysis: run analyse first`);
    const found = new Map<number, Peak[]>();
    for await (const feature of artefacts.readRecords<FeatureAnalysis>(path)) {
      const top = feature.exemplars.filter(({ kind }) => kind === 'top').sort((a, b) => a.rank - b.rank).slice(0, contexts);
      found.set(feature.index, top.map(({ row, start, activations, maxActivation }) => ({ row, position: start + activations.indexOf(maxActivation), activation: maxActivation })));
    }
    return found;
  };
  return async ({ dictionary, index }) => {
    let known = peaks.get(dictionary);
    if (known === undefined) peaks.set(dictionary, (known = load(dictionary)));
    const places = (await known).get(index) ?? [];
    const rows = await tokens.read(places.map(({ row }) => row));
    return places.map(({ position, activation }, i) => {
      const text = rows.slice(i * tokens.cols, i * tokens.cols + position + 1);
      const ids = text.length <= contextTokens ? text : Int32Array.of(text[0], ...text.subarray(text.length - contextTokens + 1));
      return { ids, above: activation / 2 };
    });
  };
}

function checkTarget({ dictionary, index }: CircuitNode, byName: ReadonlyMap<string, DictionaryWeights>, { model }: CircuitsInput): void {
  const weights = byName.get(dictionary);
  if (weights === undefined) throw new CallerError('NOT_FOUND', `target ${model.info.name}/${dictionary}/${index}: no such dictionary; there are ${[...byName.keys()].join(', ')}`);
  if (!Number.isInteger(index) || index < 0 || index >= weights.config.nFeatures) {
    throw new CallerError('NOT_FOUND', `target ${model.info.name}/${dictionary}/${index}: the dictionary has features 0 to ${weights.config.nFeatures - 1}`);
  }
}

function keyOf({ dictionary, index }: CircuitNode): string {
  return `${dictionary}/${index}`;
}

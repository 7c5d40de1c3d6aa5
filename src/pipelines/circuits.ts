import { join } from 'node:path';
import { CallerError } from '../domain/errors.ts';
import type { CircuitEdge, OutputEdge } from '../domain/feature.ts';
import type { Progress } from '../ports/Progress.ts';
import { ablationEdges, type AblationReport } from './ablationEdges.ts';
import type { Attribution } from './circuitAttribution.ts';
import { CircuitTexts, type TextInput } from './circuitContexts.ts';
import { CIRCUIT_DEFAULTS, type CircuitOptions } from './circuitOptions.ts';
import { checkTarget, checkToken, keyOf, sourcesOf, weightsOf, type CircuitNode, type CircuitTarget, type CircuitToken, type Context } from './circuitTarget.ts';
import { tokenContexts } from './circuitTokenContexts.ts';

export { CIRCUIT_DEFAULTS, type CircuitOptions } from './circuitOptions.ts';
export type { CircuitNode, CircuitToken } from './circuitTarget.ts';

export interface CircuitsInput extends TextInput {
  /** Features to explain. */
  readonly targets: readonly CircuitNode[];
  /** Output tokens to explain; none when left out. */
  readonly outputs?: readonly CircuitToken[];
  /** Needed by `propose: gradient`. */
  readonly attribute?: Attribution;
  readonly progress: Progress;
  /** The run's own folder, which exists: edges.ndjson and output-edges.ndjson are written there, and the resume logs. */
  readonly dir: string;
  readonly options?: Partial<CircuitOptions>;
}

type Counts = Pick<AblationReport, 'contexts' | 'ablations' | 'silent' | 'unmeasured'>;

/** One feature whose sources were measured; a line of the resume log. `contexts` is 0 when it never fires in the text, or nothing lies before it. */
export interface MeasuredNode extends CircuitNode, Counts {
  readonly edges: readonly CircuitEdge[];
}

/** The same for an output token. */
export interface MeasuredToken extends CircuitToken, Counts {
  readonly edges: readonly OutputEdge[];
}

export interface CircuitsResult {
  /** `edges.ndjson` in the run's folder: one CircuitEdge a line. */
  readonly file: string;
  readonly hash: string;
  /** `output-edges.ndjson`: one OutputEdge a line. */
  readonly outputFile: string;
  readonly outputHash: string;
  readonly edges: readonly CircuitEdge[];
  readonly outputEdges: readonly OutputEdge[];
  /** In the order first reached. */
  readonly nodes: readonly MeasuredNode[];
  readonly tokens: readonly MeasuredToken[];
  /** Ablations run in this call and the seconds they took; resumed nodes are not in it. */
  readonly ablations: number;
  readonly seconds: number;
  /** The contexts of features as they were measured, for what goes on with them. */
  readonly texts: CircuitTexts;
}

/**
 * What feeds each target, a feature or an output token, through all earlier dictionaries: measures source features by ablation
 * in the target's own contexts (ablationEdges), keeps the strong edges, and goes on with the strongest sources. A feature
 * reached twice is measured once, so the result is a graph. Continues after a crash from what was already measured, to the
 * same bytes. Throws NOT_FOUND, BAD_INPUT (a target that does not exist, or that nothing can feed) before anything runs.
 */
export async function circuits(input: CircuitsInput): Promise<CircuitsResult> {
  const options = { ...CIRCUIT_DEFAULTS, ...input.options };
  const { artefacts, dictionaries, model } = input;
  for (const target of input.targets) checkTarget(target, dictionaries, model.info);
  for (const token of input.outputs ?? []) checkToken(token, model.info);
  if (options.propose === 'gradient' && input.attribute === undefined) throw new CallerError('UNSUPPORTED', 'candidates by gradient need a model that can be run backward; choose the heuristic');
  const texts = new CircuitTexts(input, options);
  const started = performance.now();
  let ablations = 0;
  const measure = async (target: CircuitTarget, contexts: readonly Context[]): Promise<AblationReport> => {
    const report = await ablationEdges(model, sourcesOf(target, dictionaries, options.sources), target, contexts, options, options.propose === 'gradient' ? input.attribute! : null);
    ablations += report.ablations;
    // Strongest first.
    return { ...report, edges: report.edges.filter(({ effect }) => Math.abs(effect) >= options.threshold).slice(0, options.keep) };
  };

  const features = new Log<MeasuredNode>(artefacts, join(input.dir, 'measured.ndjson'), keyOf);
  const outputs = new Log<MeasuredToken>(artefacts, join(input.dir, 'measured-tokens.ndjson'), ({ id }) => String(id));
  const tokenNode = ({ id, token }: CircuitToken): Promise<MeasuredToken> =>
    outputs.get(String(id), async () => {
      const { edges, ...counts } = await measure({ kind: 'token', id }, await tokenContexts(input, { id, token }, options));
      return { id, token, ...counts, edges: edges.map(({ source, index, effect, standardError, n }) => ({ sourceDictionary: source.config.name, sourceIndex: index, tokenId: id, token, effect, standardError, n })) };
    });
  const featureNode = ({ dictionary, index }: CircuitNode): Promise<MeasuredNode> =>
    features.get(keyOf({ dictionary, index }), async () => {
      const { edges, ...counts } = await measure({ kind: 'feature', weights: weightsOf(dictionary, dictionaries), index }, await texts.of({ dictionary, index }));
      return { dictionary, index, ...counts, edges: edges.map(({ source, index: sourceIndex, effect, standardError, n }) => ({ sourceDictionary: source.config.name, sourceIndex, targetDictionary: dictionary, targetIndex: index, effect, standardError, n })) };
    });

  const targets = [...(input.outputs ?? []).map((token) => () => tokenNode(token)), ...input.targets.map((node) => () => featureNode(node))];
  const task = input.progress.start('circuits', targets.length, 'targets');
  for (const [done, target] of targets.entries()) {
    let level: (() => Promise<MeasuredNode | MeasuredToken>)[] = [target];
    for (let depth = 0; level.length > 0 && depth < (options.depth ?? Infinity); depth++) {
      const follow = options.follow[Math.min(depth, options.follow.length - 1)];
      const next = new Map<string, CircuitNode>();
      for (const reach of level) {
        for (const { sourceDictionary, sourceIndex } of (await reach()).edges.slice(0, follow)) {
          const source = { dictionary: sourceDictionary, index: sourceIndex };
          next.set(keyOf(source), source);
        }
        task.update(done, `${features.reached.size + outputs.reached.size} nodes, ${ablations} ablations`);
      }
      level = [...next.values()].map((node) => () => featureNode(node));
    }
  }
  const nodes = [...features.reached.values()];
  const tokens = [...outputs.reached.values()];
  const seconds = (performance.now() - started) / 1000;
  const [edges, outputEdges] = [nodes.flatMap((node) => node.edges), tokens.flatMap((node) => node.edges)];
  const [file, outputFile] = ['edges.ndjson', 'output-edges.ndjson'];
  const { hash } = await artefacts.writeRecords(join(input.dir, file), edges);
  const { hash: outputHash } = await artefacts.writeRecords(join(input.dir, outputFile), outputEdges);
  task.finish(`${edges.length + outputEdges.length} edges, ${ablations} ablations`);
  return { file, hash, outputFile, outputHash, edges, outputEdges, nodes, tokens, ablations, seconds, texts };
}

/** Nodes measured in this run or before it broke off; each is measured once and on disk before the next one begins. */
class Log<N> {
  /** By key, in the order first asked for. */
  readonly reached = new Map<string, N>();
  readonly #artefacts: CircuitsInput['artefacts'];
  readonly #path: string;
  readonly #keyOf: (node: N) => string;
  #known: Map<string, N> | undefined;

  constructor(artefacts: CircuitsInput['artefacts'], path: string, key: (node: N) => string) {
    this.#artefacts = artefacts;
    this.#path = path;
    this.#keyOf = key;
  }

  async get(key: string, measure: () => Promise<N>): Promise<N> {
    if (this.#known === undefined) {
      this.#known = new Map();
      for await (const node of this.#artefacts.readRecords<N>(this.#path, { optional: true })) this.#known.set(this.#keyOf(node), node);
    }
    let found = this.reached.get(key) ?? this.#known.get(key);
    if (found === undefined) {
      found = await measure();
      await this.#artefacts.appendRecords(this.#path, [found]);
    }
    this.reached.set(key, found);
    return found;
  }
}

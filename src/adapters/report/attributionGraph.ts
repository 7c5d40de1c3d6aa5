import { z } from 'zod';
import { labelOf, type CircuitGraph, type CircuitGraphNode } from '../../causal/circuitGraph.ts';
import { CallerError } from '../../domain/errors.ts';

/**
 * Attribution graphs as Neuronpedia takes them (apps/webapp/app/api/graph/graph-schema.json in hijohnnylin/neuronpedia, commit
 * b8efe84) and circuit-tracer serves them (circuit_tracer/frontend/graph_models.py in safety-research/circuit-tracer, commit 196e2ce): the keys
 * both require, and those optional ones that are written here. Readers of either pass over keys they do not know.
 */
export const AttributionGraph = z.looseObject({
  metadata: z.looseObject({
    slug: z.string().min(1),
    scan: z.string().min(1),
    transcoder_list: z.array(z.string()),
    prompt_tokens: z.array(z.string()).min(1),
    prompt: z.string(),
    schema_version: z.literal(1),
    info: z.looseObject({ description: z.string(), generator: z.object({ name: z.string(), version: z.string() }), create_time_ms: z.number() }),
    generation_settings: z.record(z.string(), z.unknown()),
  }),
  qParams: z.object({ pinnedIds: z.array(z.string()), supernodes: z.array(z.array(z.string())), linkType: z.literal('both'), clickedId: z.string(), sg_pos: z.literal('') }),
  nodes: z.array(
    z.looseObject({
      node_id: z.string(),
      feature: z.int(),
      layer: z.string(),
      ctx_idx: z.int().min(0),
      feature_type: z.enum(['cross layer transcoder', 'logit']),
      token_prob: z.number().min(0).max(1),
      is_target_logit: z.boolean(),
      run_idx: z.literal(0),
      reverse_ctx_idx: z.int().min(0),
      jsNodeId: z.string(),
      clerp: z.string(),
      influence: z.null(),
      activation: z.number().nullable(),
    }),
  ),
  links: z.array(z.looseObject({ source: z.string(), target: z.string(), weight: z.number() })),
});
export type AttributionGraph = z.infer<typeof AttributionGraph>;

/** The text a circuit is shown on, and what the model did on it. */
export interface CircuitPrompt {
  readonly text: string;
  readonly tokens: readonly string[];
  /** By id of a feature: where it is most active, and how much; features that are silent in the text are missing. */
  readonly active: ReadonlyMap<string, { readonly position: number; readonly activation: number }>;
  /** Probability of the target token after the text; null where the target is a feature. */
  readonly probability: number | null;
}

export interface AttributionFacts {
  readonly prompt: CircuitPrompt;
  /** `corpus`: a link's weight is the mean over the run's contexts; `prompt`: it was measured in this prompt alone. */
  readonly weights: 'corpus' | 'prompt';
  /** Features of each dictionary, by name. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly version: string;
  /** Of the circuits run: its parameters, and when it finished, ISO 8601. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly finishedAt: string;
}

/** A circuit on one prompt as an attribution graph. Where several dictionaries are read in a layer, their features are counted through, by name. */
export function attributionGraph(graph: CircuitGraph, { prompt, weights, sizes, version, settings, finishedAt }: AttributionFacts): AttributionGraph {
  const last = prompt.tokens.length - 1;
  const offsets = offsetsOf(graph.nodes, sizes);
  const ids = new Map<string, string>();
  const nodes = graph.nodes.map((node) => {
    const found = node.kind === 'token' ? { position: last, activation: null } : (prompt.active.get(node.id) ?? { position: last, activation: 0 });
    const index = node.index + (offsets.get(node.dictionary ?? '') ?? 0);
    // As circuit-tracer has it: logits one above the layer after the last.
    const layer = node.kind === 'token' ? graph.layers + 1 : node.layer;
    const id = `${layer}_${index}_${found.position}`;
    ids.set(node.id, id);
    return {
      node_id: id,
      feature: node.kind === 'token' ? index : cantorPair(layer, index),
      layer: String(layer),
      ctx_idx: found.position,
      feature_type: node.kind === 'token' ? ('logit' as const) : ('cross layer transcoder' as const),
      token_prob: node.kind === 'token' ? (prompt.probability ?? 0) : 0,
      is_target_logit: node.kind === 'token',
      run_idx: 0 as const,
      reverse_ctx_idx: 0,
      jsNodeId: node.kind === 'token' ? `L_${index}-${found.position}` : `${layer}_${index}-0`,
      clerp: clerpOf(node, prompt),
      influence: null,
      activation: found.activation,
      // Ours: where the feature is in the catalog.
      ...(node.kind === 'token' ? {} : { address: `${graph.model}/${node.id}` }),
    };
  });
  const target = ids.get(graph.target)!;
  const onToken = graph.nodes.some(({ id, kind }) => id === graph.target && kind === 'token');
  const links = graph.edges.map(({ source, target: end, effect, standardError, n }) => ({ source: ids.get(source)!, target: ids.get(end)!, weight: effect, standard_error: n < 2 ? null : standardError, contexts: n }));
  return {
    metadata: {
      slug: slugOf(graph),
      scan: graph.model,
      transcoder_list: [...new Set(graph.nodes.flatMap(({ dictionary }) => (dictionary === null ? [] : [`${graph.model}/${dictionary}`])))],
      prompt_tokens: [...prompt.tokens],
      prompt: prompt.text,
      schema_version: 1,
      info: { description: describe(weights, onToken), generator: { name: 'feature-catalog', version }, create_time_ms: Date.parse(finishedAt) },
      generation_settings: { ...settings, weights },
    },
    qParams: { pinnedIds: [target, ...links.filter((link) => link.target === target).map(({ source }) => source)], supernodes: [], linkType: 'both', clickedId: target, sg_pos: '' },
    nodes,
    links,
  };
}

/** Reads text that should be an attribution graph as written here; throws BAD_INPUT saying what is wrong. */
export function readAttributionGraph(text: string): AttributionGraph {
  const found = AttributionGraph.safeParse(JSON.parse(text));
  if (!found.success) throw new CallerError('BAD_INPUT', `no attribution graph: ${z.prettifyError(found.error)}`);
  return found.data;
}

/** One number of two, as viewers read features: π(layer, index), Cantor's pairing. */
export function cantorPair(x: number, y: number): number {
  return ((x + y) * (x + y + 1)) / 2 + y;
}

/** Where the indices of each dictionary begin among those of its layer. */
function offsetsOf(nodes: readonly CircuitGraphNode[], sizes: ReadonlyMap<string, number>): Map<string, number> {
  const layers = new Map(nodes.flatMap(({ dictionary, layer }) => (dictionary === null ? [] : [[dictionary, layer] as const])));
  const next = new Map<number, number>();
  return new Map(
    [...layers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([dictionary, layer]) => {
      const offset = next.get(layer) ?? 0;
      next.set(layer, offset + (sizes.get(dictionary) ?? 0));
      return [dictionary, offset];
    }),
  );
}

function clerpOf(node: CircuitGraphNode, prompt: CircuitPrompt): string {
  // Viewers read the token between the quotes, and the probability, out of this text.
  if (node.kind === 'token') return `Output "${(node.description ?? '').replaceAll('\n', '⏎')}" (p=${(prompt.probability ?? 0).toFixed(3)})`;
  return `${node.description ?? labelOf(node)}${prompt.active.has(node.id) ? '' : ' (silent in this prompt)'}`;
}

function describe(weights: 'corpus' | 'prompt', onToken: boolean): string {
  const unit = `mean relative drop of the target's activation${onToken ? ' (into the output token: drop of its log-probability in nats)' : ''} when the source is ablated`;
  return weights === 'corpus'
    ? `Link weights: ${unit}, over the texts where the target is most active (contexts of each link), not in this prompt, which only shows where each feature is most active (ctx_idx, activation). Features are those of dictionaries on the residual stream or of a layer's parts; their type here is what viewers draw as a feature.`
    : `Link weights: ${unit}, measured in this prompt alone, at the position where the target is most active. Features are those of dictionaries on the residual stream or of a layer's parts; their type here is what viewers draw as a feature.`;
}

function slugOf(graph: CircuitGraph): string {
  const target = graph.nodes.find(({ id }) => id === graph.target)!;
  return `${graph.model}-${target.id}`.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
}

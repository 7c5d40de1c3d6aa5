/** A feature or an output token of a circuit, with what a reader wants to see of it. */
export interface CircuitGraphNode {
  /** Unique in the graph: `{dictionary}/{index}`, or `token {id}`. */
  readonly id: string;
  readonly kind: 'feature' | 'token';
  /** Of a feature; null for a token. */
  readonly dictionary: string | null;
  /** Of the feature in its dictionary, or of the token in the vocabulary. */
  readonly index: number;
  /** Layer where the feature is read, from 0; the number of layers for a token. */
  readonly layer: number;
  /** Where the feature is read, as the catalog spells it; `output` for a token. */
  readonly place: string;
  /** Grows along the forward pass; nodes of one place have the same. */
  readonly order: number;
  /** What it responds to, or the token as text; null where nobody described the feature. */
  readonly description: string | null;
}

export interface CircuitGraphEdge {
  readonly source: string;
  readonly target: string;
  /** Between features the mean relative drop of the target when the source is ablated; on a token the mean drop of its log-probability in nats. */
  readonly effect: number;
  readonly standardError: number;
  /** Contexts measured. */
  readonly n: number;
}

/** The measured graph upstream of one target. */
export interface CircuitGraph {
  readonly model: string;
  /** Of the model. */
  readonly layers: number;
  /** Id of the node at the end. */
  readonly target: string;
  readonly nodes: readonly CircuitGraphNode[];
  readonly edges: readonly CircuitGraphEdge[];
  /** Edges that the bounds on their number left out. */
  readonly truncated: boolean;
}

export interface UpstreamBounds {
  /** Steps from the target. */
  readonly depth: number;
  /** Smallest |effect|. */
  readonly minEffect: number;
  /** Strongest edges into each node that are kept. */
  readonly perNode: number;
  /** Edges at most: nearest the target first, of those at one distance the strongest. */
  readonly limit: number;
}

/**
 * Edges of the graph upstream of a target: level by level the strongest edges into each node reached, no node followed twice,
 * so it ends on cycles too. The database's `circuit` is the same walk. Equal strengths keep the order in which edges came.
 */
export function upstream<E extends Pick<CircuitGraphEdge, 'source' | 'target' | 'effect'>>(edges: readonly E[], target: string, { depth, minEffect, perNode, limit }: UpstreamBounds): { edges: E[]; truncated: boolean } {
  const strongest = (a: E, b: E): number => Math.abs(b.effect) - Math.abs(a.effect);
  const into = Map.groupBy(edges.filter(({ effect }) => Math.abs(effect) >= minEffect), (edge) => edge.target);
  const found: E[] = [];
  const seen = new Set([target]);
  let level = [target];
  for (let step = 0; step < depth && level.length > 0 && found.length <= limit; step++) {
    const next = level.flatMap((node) => (into.get(node) ?? []).toSorted(strongest).slice(0, perNode)).sort(strongest);
    found.push(...next);
    level = [...new Set(next.map(({ source }) => source))].filter((source) => !seen.has(source));
    for (const node of level) seen.add(node);
  }
  return { edges: found.slice(0, limit), truncated: found.length > limit };
}

/** Nodes by place, the latest first, in the order they came: the rows of a drawing. */
export function rowsOf(nodes: readonly CircuitGraphNode[]): CircuitGraphNode[][] {
  const places = [...Map.groupBy(nodes, ({ order }) => order)].sort(([a], [b]) => b - a);
  return places.map(([, row]) => row);
}

/** A feature as people name it beside others of its model, `2-tied-r4/17`; a token as quoted text. */
export function labelOf(node: CircuitGraphNode): string {
  return node.kind === 'token' ? JSON.stringify(node.description ?? '') : node.id;
}

/** An effect as people read it: per cent of the target's activation, or nats. */
export function effectText(effect: number, onToken: boolean): string {
  return onToken ? `${effect.toFixed(2)} nats` : `${Math.round(100 * effect)} %`;
}

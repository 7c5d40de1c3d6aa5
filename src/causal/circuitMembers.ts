/** An edge between nodes known by key. */
export interface KeyedEdge {
  readonly source: string;
  readonly target: string;
  readonly effect: number;
}

/**
 * The nodes that feed `target`, directly or through others, most influential first: a node's influence is the greatest
 * product of |effect| (each at most 1) along a path to the target, so that a beginning of the list is the circuit at a
 * smaller size. Effects on a token's log-probability are shares of the strongest one. Ties go by key.
 */
export function circuitMembers(edges: readonly KeyedEdge[], target: string, share: 'drop' | 'nats' = 'drop'): string[] {
  const into = Map.groupBy(edges, (edge) => edge.target);
  const greatest = Math.max(...(into.get(target) ?? []).map(({ effect }) => Math.abs(effect)), Number.MIN_VALUE);
  const influence = new Map([[target, 1]]);
  const settled = new Set<string>();
  for (;;) {
    // As in Dijkstra's algorithm: shares are at most 1, so the greatest open influence is final.
    let next: string | null = null;
    for (const [key, value] of influence) if (!settled.has(key) && (next === null || value > influence.get(next)! || (value === influence.get(next) && key < next))) next = key;
    if (next === null) break;
    settled.add(next);
    const unit = next === target && share === 'nats' ? greatest : 1;
    for (const { source, effect } of into.get(next) ?? []) {
      const value = influence.get(next)! * Math.min(1, Math.abs(effect) / unit);
      if (value > (influence.get(source) ?? 0)) influence.set(source, value);
    }
  }
  settled.delete(target);
  return [...settled];
}

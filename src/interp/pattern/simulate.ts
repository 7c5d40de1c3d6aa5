import type { TrieNode } from './trie.ts';

interface Level {
  readonly value: number | null;
  readonly exact: ReadonlyMap<number, Level>;
  readonly wildcard: Level | null;
}

interface Match {
  /** Tokens matched by name; wildcards do not count. */
  readonly literals: number;
  readonly depth: number;
  readonly value: number;
}

/** A trie made ready for matching many fragments. */
export interface CompiledTrie {
  readonly root: Level;
}

export function compileTrie(roots: readonly TrieNode[]): CompiledTrie {
  return { root: level(null, roots) };
}

/**
 * Activations the pattern predicts on a fragment: at each position the trie is searched backwards, and the most specific pattern
 * that matches (most tokens matched by name, then the longest) gives the value; 0 where none matches. The search looks no
 * further left than the fragment's first token: before it a wildcard matches and a named token does not.
 * @returns [ids.length], dictionary units.
 */
export function simulate(trie: CompiledTrie, ids: ArrayLike<number>): Float32Array {
  const predicted = new Float32Array(ids.length);
  for (let t = 0; t < ids.length; t++) {
    const best = search(trie.root, ids, t, 0, 0);
    if (best !== null) predicted[t] = best.value;
  }
  return predicted;
}

function search(node: Level, ids: ArrayLike<number>, at: number, literals: number, depth: number): Match | null {
  let best: Match | null = node.value === null ? null : { literals, depth, value: node.value };
  const exact = at >= 0 ? node.exact.get(ids[at]) : undefined;
  if (exact !== undefined) best = better(best, search(exact, ids, at - 1, literals + 1, depth + 1));
  if (node.wildcard !== null) best = better(best, search(node.wildcard, ids, at - 1, literals, depth + 1));
  return best;
}

function better(a: Match | null, b: Match | null): Match | null {
  if (a === null) return b;
  if (b === null) return a;
  if (a.literals !== b.literals) return a.literals > b.literals ? a : b;
  if (a.depth !== b.depth) return a.depth > b.depth ? a : b;
  return a.value >= b.value ? a : b;
}

function level(value: number | null, nodes: readonly TrieNode[]): Level {
  const exact = new Map<number, Level>();
  let wildcard: Level | null = null;
  for (const node of nodes) {
    const next = level(node.value, node.next);
    if (node.token === null) wildcard = next;
    else exact.set(node.token, next);
  }
  return { value, exact, wildcard };
}

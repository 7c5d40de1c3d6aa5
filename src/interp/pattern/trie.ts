/**
 * A pattern of tokens read backwards from the position it predicts: level 0 is the token itself, level 1 the token before it …
 * A node with token null is Neuron-to-Graph's IGNORE wildcard: any token, also one before the fragment's start. A node with a
 * value ends a pattern: where the path to it matches, the feature is predicted to have that activation. JSON as it stands.
 */
export interface TrieNode {
  /** Token id, or null for the wildcard. */
  readonly token: number | null;
  /** The token's text, `*` for the wildcard; for readers only. */
  readonly text: string;
  /** Predicted activation in the dictionary's units; null where no pattern ends here. */
  value: number | null;
  readonly next: TrieNode[];
}

/** One way to fire: tokens[0] is the activating token, tokens[i] the i-th before it; null = any token. */
export interface PatternPath {
  readonly tokens: readonly (number | null)[];
  readonly value: number;
}

/**
 * Builds the trie; a path met twice keeps the larger value. Trailing wildcards say nothing and are dropped. A path of
 * wildcards alone would fire on every token: refused (such a "pattern" predicts a constant).
 * @returns the root's children, strongest first.
 */
export function buildTrie(paths: readonly PatternPath[], text: (id: number) => string): TrieNode[] {
  const roots: TrieNode[] = [];
  for (const path of paths) {
    let length = path.tokens.length;
    while (length > 0 && path.tokens[length - 1] === null) length--;
    if (length === 0) continue;
    let level = roots;
    let node: TrieNode | undefined;
    for (let i = 0; i < length; i++) {
      const token = path.tokens[i];
      node = level.find((child) => child.token === token);
      if (node === undefined) {
        node = { token, text: token === null ? '*' : text(token), value: null, next: [] };
        level.push(node);
      }
      level = node.next;
    }
    if (node !== undefined) node.value = Math.max(node.value ?? 0, path.value);
  }
  sortLevels(roots);
  return roots;
}

/** Every path that ends in a value, in the trie's order. */
export function triePaths(roots: readonly TrieNode[]): PatternPath[] {
  const found: PatternPath[] = [];
  const walk = (nodes: readonly TrieNode[], before: readonly (number | null)[]): void => {
    for (const node of nodes) {
      const tokens = [...before, node.token];
      if (node.value !== null) found.push({ tokens, value: node.value });
      walk(node.next, tokens);
    }
  };
  walk(roots, []);
  return found;
}

function sortLevels(level: TrieNode[]): void {
  for (const node of level) sortLevels(node.next);
  const strongest = new Map(level.map((node) => [node, strength(node)]));
  level.sort((a, b) => strongest.get(b)! - strongest.get(a)! || (a.token ?? -1) - (b.token ?? -1));
}

function strength(node: TrieNode): number {
  let best = node.value ?? 0;
  for (const child of node.next) best = Math.max(best, strength(child));
  return best;
}

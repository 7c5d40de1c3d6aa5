import { buildTrie, triePaths, type TrieNode } from './trie.ts';

/** The trie of a pattern's strongest ways to fire, `count` at most; of equal ones those that come first in the trie. */
export function strongestPaths(trie: readonly TrieNode[], count: number): TrieNode[] {
  const texts = new Map<number, string>();
  const read = (nodes: readonly TrieNode[]): void => {
    for (const { token, text, next } of nodes) {
      if (token !== null) texts.set(token, text);
      read(next);
    }
  };
  read(trie);
  const strongest = [...triePaths(trie)].sort((a, b) => b.value - a.value).slice(0, count);
  return buildTrie(strongest, (id) => texts.get(id) ?? '');
}

/** Types with a global id; the id is base64url of `Type:key`, with a key that survives a reload of the catalog. */
export const NODE_TYPES = ['Model', 'Dictionary', 'Feature', 'Explanation', 'Run', 'PatchRun', 'Note', 'FeatureList'] as const;
export type NodeType = (typeof NODE_TYPES)[number];

/** Keys: Model `name`; Dictionary `model/name`; Feature its address; Explanation `address/explainer`; Run its key; PatchRun its hash; Note and FeatureList a number. */
export function toGlobalId(type: NodeType, key: string): string {
  return Buffer.from(`${type}:${key}`).toString('base64url');
}

/** Null when the text is no id this server would give. */
export function fromGlobalId(id: string): { readonly type: NodeType; readonly key: string } | null {
  if (id.length > 1000) return null;
  const text = Buffer.from(id, 'base64url').toString('utf8');
  const colon = text.indexOf(':');
  const type = NODE_TYPES.find((candidate) => candidate === text.slice(0, colon));
  const key = text.slice(colon + 1);
  // Only the canonical spelling counts: equal ids are the same thing, and the other way round.
  if (type === undefined || key === '' || key.includes('\u0000') || toGlobalId(type, key) !== id) return null;
  return { type, key };
}

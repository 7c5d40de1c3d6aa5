import { createHash } from 'node:crypto';
import type { SearchDocument } from '../../ports/SearchIndex.ts';
import { EMBEDDER } from './settings.ts';

/** A document's id: the server allows letters, digits, - and _ only, and explainers are named freely. */
export function documentId({ dictionaryId, index, explainer }: Pick<SearchDocument, 'dictionaryId' | 'index' | 'explainer'>): string {
  return `${dictionaryId}-${index}-${createHash('sha256').update(explainer).digest('base64url').slice(0, 16)}`;
}

export interface Stamp {
  readonly generation: string;
  readonly revision: number;
  /** Whether the index holds vectors; then a document without one must say so. */
  readonly embeds: boolean;
}

/** As it is stored. Generation and revision tell of which building and which change it is. */
export function storedDocument(document: SearchDocument, vector: Float32Array | null, { generation, revision, embeds }: Stamp): object {
  return {
    id: documentId(document),
    ...document,
    generation,
    revision,
    ...(embeds ? { _vectors: { [EMBEDDER]: vector === null ? null : { embeddings: [[...vector]], regenerate: false } } } : {}),
  };
}

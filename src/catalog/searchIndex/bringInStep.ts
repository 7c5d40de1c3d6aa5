import type { IndexPlan } from '../../ports/SearchIndex.ts';
import { drainOutbox, type Drained } from './drain.ts';
import { unfitness, type IndexParts } from './parts.ts';
import { rebuildIndex, type Rebuilt } from './rebuild.ts';

export interface StepOptions {
  readonly rebuild: boolean;
  /** Null = as the index has them. */
  readonly synonyms: IndexPlan['synonyms'] | null;
  readonly progress?: (explanations: number) => void;
  /** Why the index is being built anew. */
  readonly say?: (reason: string) => void;
}

export interface CountRow {
  readonly dictionaryId: number;
  readonly catalog: number;
  readonly index: number;
}

export interface InStep {
  readonly rebuilt: Rebuilt | null;
  readonly drained: Drained;
  /** Dictionaries whose counts differed, and were sent again. */
  readonly mended: number;
  readonly counts: readonly CountRow[];
}

/** Brings the index in step with the catalog: builds it where it is missing or does not fit, else tells it what changed. */
export async function bringInStep(parts: IndexParts, { rebuild, synonyms, progress, say }: StepOptions): Promise<InStep> {
  const { index, outbox, embeddings } = parts;
  const [state, catalog] = await Promise.all([index.state(), outbox.catalogId()]);
  const reason = rebuild ? 'as asked' : (unfitness(state, catalog, embeddings) ?? otherWish(state, parts, synonyms));
  if (reason !== null) say?.(reason);
  const rebuilt = reason === null ? null : await rebuildIndex(parts, synonyms ?? state?.synonyms ?? [], progress);
  if (rebuilt === null) await index.discardUnfinished();
  let drained = await drainOutbox(parts, undefined, ({ explanations }) => progress?.(explanations));
  let counts = await compare(parts);
  const differing = counts.filter((row) => row.catalog !== row.index).map((row) => row.dictionaryId);
  if (differing.length > 0) {
    // Something else wrote to the index, or its server lost something.
    await outbox.note(differing);
    drained = await drainOutbox(parts);
    counts = await compare(parts);
  }
  return { rebuilt, drained, mended: differing.length, counts };
}

function otherWish(state: IndexPlan | null, { embeddings }: IndexParts, synonyms: IndexPlan['synonyms'] | null): string | null {
  if (state === null) return null;
  if (synonyms !== null && JSON.stringify(synonyms) !== JSON.stringify(state.synonyms)) return 'its synonyms are others';
  if (state.vectors === null && embeddings !== null) return 'it has no vectors yet';
  return null;
}

async function compare({ index, outbox }: IndexParts): Promise<readonly CountRow[]> {
  const state = await index.state();
  if (state === null) return [];
  const [there, here] = await Promise.all([index.live(state).counts(), outbox.counts()]);
  const ids = [...new Set([...here.keys(), ...there.keys()])].sort((a, b) => a - b);
  return ids.map((dictionaryId) => ({ dictionaryId, catalog: here.get(dictionaryId) ?? 0, index: there.get(dictionaryId) ?? 0 }));
}

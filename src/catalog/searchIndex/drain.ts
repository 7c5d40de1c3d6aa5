import { OutsideError } from '../../domain/errors.ts';
import { putChanges, unfitness, type IndexParts } from './parts.ts';

/** What one turn came to: features or dictionaries told of, explanations put. */
export interface Drained {
  readonly claims: number;
  readonly explanations: number;
}

/**
 * Tells the index that answers of everything that waits in the outbox, dictionary by dictionary. At least once: a process that
 * dies on the way has another tell it again, and the same documents take the same places. Refuses an index that does not fit.
 */
export async function drainOutbox(parts: IndexParts, stopped: () => boolean = () => false, told?: (drained: Drained) => void): Promise<Drained> {
  const { index, outbox, embeddings } = parts;
  let drained: Drained = { claims: 0, explanations: 0 };
  while (!stopped()) {
    if ((await outbox.waiting()) === 0) break;
    // Looked at before every claim: documents sent to an index that is not there would make one, of themselves alone.
    const [state, catalog] = await Promise.all([index.state(), outbox.catalogId()]);
    const unfit = unfitness(state, catalog, embeddings);
    if (state === null || unfit !== null) throw new OutsideError('meilisearch', `the index ${index.name} does not fit: ${unfit}: the command "index" builds it`);
    const claim = await outbox.claim();
    if (claim === null) break;
    try {
      const writer = index.live(state);
      const explanations = await putChanges(parts, writer, state.vectors, claim, async () => {
        if (!(await outbox.renew(claim))) throw new OutsideError('postgres', 'the time to send these changes ran out: they are sent again');
      });
      await writer.settled();
      await outbox.finish(claim);
      drained = { claims: drained.claims + 1, explanations: drained.explanations + explanations };
      told?.(drained);
    } catch (error) {
      // Where even that fails, the claim runs out.
      await outbox.release(claim).catch(() => undefined);
      throw error;
    }
  }
  return drained;
}

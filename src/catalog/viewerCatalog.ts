import { CallerError } from '../domain/errors.ts';
import type { PatchRequest } from '../domain/patch.ts';
import { holds, type Scope, type Viewer } from '../domain/viewer.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import { LIMITS } from './limits.ts';
import type { PatchOutcome } from './patch.ts';
import { checkNumber, type PatchRequests } from './patchRequests.ts';

/** Throws unless the viewer holds the scope: UNAUTHENTICATED for who came without a key, FORBIDDEN for a key without it. */
export function requireScope(viewer: Viewer, scope: Scope, what: string): void {
  if (holds(viewer, scope)) return;
  if (viewer.keyId === null) throw new CallerError('UNAUTHENTICATED', `${what} needs a key with the scope ${scope}: send one as "Authorization: Bearer fc_…"`);
  throw new CallerError('FORBIDDEN', `${what} needs the scope ${scope}, which the key ${viewer.name} lacks`);
}

/** Throws for a model the reader does not show as for an unknown one: whether it exists is not told, nor what else is hidden. */
export async function requireModel(reader: Pick<CatalogReader, 'models'>, model: string): Promise<void> {
  const names = (await reader.models()).map(({ name }) => name);
  if (names.includes(model)) return;
  throw new CallerError('NOT_FOUND', `the catalog has no model ${JSON.stringify(model)}; ${names.length === 0 ? 'it is empty' : `it has ${names.join(', ')}`}`, { field: ['model'] });
}

/** Patches as the viewer may ask for them: of models the reader shows, and none without the scope. */
export function patchRequestsFor(all: PatchRequests, viewer: Viewer, reader: Pick<CatalogReader, 'models'>): PatchRequests {
  const check = (): void => requireScope(viewer, 'patch', 'running a model');
  const split = async (requests: readonly PatchRequest[]) => {
    const refused: PatchOutcome[] = [];
    const models = reader.models();
    const once = { models: () => models };
    const places: number[] = [];
    for (const [index, { model }] of requests.entries()) {
      try {
        await requireModel(once, model);
        places.push(index);
      } catch (error) {
        if (!(error instanceof CallerError)) throw error;
        refused.push({ index, error });
      }
    }
    return { refused, places, open: places.map((place) => requests[place]!) };
  };
  return {
    async patch(request) {
      check();
      await requireModel(reader, request.model);
      return all.patch(request);
    },
    async patches(requests) {
      check();
      checkNumber(requests, LIMITS.patches);
      const { refused, places, open } = await split(requests);
      const outcomes = open.length === 0 ? [] : await all.patches(open);
      return [...outcomes.map((outcome) => ({ ...outcome, index: places[outcome.index]! })), ...refused].sort((a, b) => a.index - b.index);
    },
    async *streamPatches(requests, signal) {
      check();
      checkNumber(requests, LIMITS.streamedPatches);
      const { refused, places, open } = await split(requests);
      yield* refused;
      if (open.length === 0) return;
      for await (const outcome of all.streamPatches(open, signal)) yield { ...outcome, index: places[outcome.index]! };
    },
  };
}

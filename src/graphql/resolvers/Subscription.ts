import { LIMITS } from '../../catalog/limits.ts';
import type { PatchOutcome } from '../../catalog/patch.ts';
import { checkNumber } from '../../catalog/patchRequests.ts';
import { invariant } from '../../domain/errors.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Resolver, StreamSide } from '../context.ts';
import { userErrorOf } from '../errors.ts';
import { patchRequestsOf, type PatchInputArg } from '../patchArgs.ts';

interface PatchesArgs {
  readonly input: { readonly patches: readonly PatchInputArg[] };
}

/** One event: a finished patch, or what ended the stream. */
type PatchEvent = (PatchOutcome & { readonly done: number; readonly total: number }) | { readonly failure: unknown };

export const Subscription = {
  patches: {
    subscribe: ((_, { input: { patches } }, { catalog, stream }) => {
      invariant(stream !== undefined, 'a subscription outside of a stream');
      checkNumber(patches, LIMITS.streamedPatches);
      return patchEvents(catalog, patches, stream);
    }) satisfies Resolver<unknown, PatchesArgs>,
    resolve: ((event) => {
      if ('failure' in event) throw event.failure;
      const { done, total, index } = event;
      if ('run' in event) return { done, total, index, patchRun: event.run, userErrors: [] };
      const userError = userErrorOf(event.error);
      if (userError === null) throw event.error;
      return { done, total, index, patchRun: null, userErrors: [userError] };
    }) satisfies Resolver<PatchEvent>,
  },
};

/** Each event waits until the one before has left for the client: what a slow client has not read is not held here. */
async function* patchEvents(catalog: Catalog, inputs: readonly PatchInputArg[], { signal, sent }: StreamSide): AsyncGenerator<PatchEvent, void, undefined> {
  const { requests, places, errors } = patchRequestsOf(inputs);
  const total = inputs.length;
  let done = 0;
  try {
    for (const [index, error] of errors) {
      yield { index, error, done: ++done, total };
      await sent(done);
    }
    if (requests.length === 0) return;
    for await (const outcome of catalog.streamPatches(requests, signal)) {
      yield { ...outcome, index: places[outcome.index], done: ++done, total };
      await sent(done);
    }
  } catch (error) {
    // A failure is the last event, so that it is told like any other error.
    if (!signal.aborted) yield { failure: error };
  }
}

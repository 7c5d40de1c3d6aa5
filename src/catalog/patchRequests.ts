import { CallerError, InvariantError } from '../domain/errors.ts';
import type { PatchRequest, PatchRun } from '../domain/patch.ts';
import type { Turns } from './gate.ts';
import { LIMITS } from './limits.ts';
import type { PatchOutcome, PatchService } from './patch.ts';
import { numbersOf } from './patchRuns.ts';

/** Patches as requests ask for them: bounded in number, size and time. Errors are CallerErrors, TIMED_OUT among them. */
export interface PatchRequests {
  patch(request: PatchRequest): Promise<PatchRun>;
  /** One outcome per request, in order. */
  patches(requests: readonly PatchRequest[]): Promise<readonly PatchOutcome[]>;
  /** Outcomes as they come. Where the signal is aborted, what has not begun does not begin, and its reason is thrown. */
  streamPatches(requests: readonly PatchRequest[], signal: AbortSignal): AsyncGenerator<PatchOutcome, void, undefined>;
}

export type PatchTimes = Pick<typeof LIMITS, 'patchSeconds' | 'streamSeconds'>;

export function createPatchRequests(service: PatchService, turns: Turns, times: { readonly [K in keyof PatchTimes]: number } = LIMITS): PatchRequests {
  return {
    async patch(request) {
      for await (const outcome of untilDeadline(service, [request], { turns, group: 1, seconds: times.patchSeconds })) {
        if ('error' in outcome) throw outcome.error;
        return outcome.run;
      }
      throw new InvariantError('bug: a patch without an outcome');
    },
    async patches(requests) {
      checkNumber(requests, LIMITS.patches);
      const found: PatchOutcome[] = [];
      let numbers = 0;
      for await (const outcome of untilDeadline(service, requests, { turns, group: LIMITS.patches, seconds: times.patchSeconds })) {
        if ('run' in outcome) numbers += numbersOf(outcome.run);
        if (numbers > LIMITS.mutationNumbers) break;
        found[outcome.index] = outcome;
      }
      const fitted = Object.keys(found).length;
      return requests.map((_, index) => found[index] ?? { index, error: new CallerError('LIMIT_EXCEEDED', `the answer is full: ${fitted} of ${requests.length} patches fit into it; send this one again in another request, or subscribe`) });
    },
    async *streamPatches(requests, signal) {
      checkNumber(requests, LIMITS.streamedPatches);
      yield* untilDeadline(service, requests, { turns, group: LIMITS.streamGroup, seconds: times.streamSeconds, signal });
    },
  };
}

/** Throws BAD_INPUT or LIMIT_EXCEEDED for none and for too many. */
export function checkNumber(requests: readonly unknown[], most: number): void {
  if (requests.length === 0) throw new CallerError('BAD_INPUT', 'patches is empty: expected at least one', { field: ['patches'] });
  if (requests.length > most) {
    throw new CallerError('LIMIT_EXCEEDED', `patches has ${requests.length} entries: at most ${most} at once`, { field: ['patches'] });
  }
}

interface Bounds {
  readonly turns: Turns;
  readonly group: number;
  readonly seconds: number;
  readonly signal?: AbortSignal;
}

/**
 * Outcomes as they come; at the deadline TIMED_OUT for all that are left. The run that is then under way goes on, in its turn,
 * and its results are stored: asking again finds them.
 */
async function* untilDeadline(service: PatchService, requests: readonly PatchRequest[], { turns, group, seconds, signal: outer }: Bounds): AsyncGenerator<PatchOutcome, void, undefined> {
  const stop = new AbortController();
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), seconds * 1000);
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  const outcomes = service.patchEach(requests, { turns, group, signal });
  const left = new Set(requests.keys());
  try {
    for (;;) {
      const next = outcomes.next();
      // Once the deadline has passed nobody waits for it any more.
      next.catch(() => undefined);
      const found = await Promise.race([next, late.promise]);
      if (found === null) {
        const message = `${requests.length - left.size} of ${requests.length} patches were done after ${seconds} s, the most a request may take; what had begun goes on and is stored, so that asking again finds it`;
        for (const index of left) yield { index, error: new CallerError('TIMED_OUT', message) };
        return;
      }
      if (found.done === true) return;
      left.delete(found.value.index);
      yield found.value;
    }
  } finally {
    clearTimeout(timer);
    stop.abort(new Error('the request has ended'));
    outcomes.return().catch(() => undefined);
  }
}

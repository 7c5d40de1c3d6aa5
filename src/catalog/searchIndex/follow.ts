import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../domain/errors.ts';
import { drainOutbox, type Drained } from './drain.ts';
import type { IndexParts } from './parts.ts';

export interface FollowOptions {
  /** Between two looks while all is well; default 1,000 ms. */
  readonly everyMs?: number;
  /** Most between two tries while something fails; default 30,000 ms. */
  readonly longestMs?: number;
  readonly onDrained?: (drained: Drained) => void;
  /** Each failure that differs from the one before. */
  readonly onFailure?: (reason: string) => void;
}

export interface Follower {
  /** Ends it, after the dictionary it is at. */
  stop(): Promise<void>;
}

/** Keeps the index in step until it is stopped. Nothing is lost while the search server is away: the outbox keeps it. */
export function followOutbox(parts: IndexParts, { everyMs = 1000, longestMs = 30_000, onDrained, onFailure }: FollowOptions = {}): Follower {
  const stopping = new AbortController();
  const ended = (async () => {
    let failed: string | null = null;
    let wait = everyMs;
    while (!stopping.signal.aborted) {
      try {
        const drained = await drainOutbox(parts, () => stopping.signal.aborted);
        if (drained.claims > 0) onDrained?.(drained);
        failed = null;
        wait = everyMs;
      } catch (error) {
        const reason = messageOf(error);
        if (reason !== failed) onFailure?.(reason);
        failed = reason;
        wait = Math.min(2 * wait, longestMs);
      }
      await pause(wait, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

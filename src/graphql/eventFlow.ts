import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** A client that reads nothing for this long is gone. */
const STALLED_SECONDS = 60;

/**
 * Writes server-sent messages, each when the client has read most of what came before: at most one message and node's own buffer
 * wait here. Resolves when all are written, or the client has gone.
 *
 * @param written called with the number of events (pings do not count) that have left.
 */
export async function writeEvents(messages: AsyncIterable<string>, response: ServerResponse, written: (events: number) => void): Promise<void> {
  let events = 0;
  for await (const message of messages) {
    if (!response.writable) return;
    if (!response.write(message)) await drained(response);
    if (message.startsWith('event: next')) written(++events);
  }
}

async function drained(response: ServerResponse): Promise<void> {
  const waiting = new AbortController();
  const timer = setTimeout(() => response.destroy(), STALLED_SECONDS * 1000);
  try {
    await Promise.race([once(response, 'drain', { signal: waiting.signal }), once(response, 'close', { signal: waiting.signal })]);
  } finally {
    clearTimeout(timer);
    waiting.abort();
  }
}

/** Counts up; others wait for a number, or for the end. */
export class Tally {
  #count = 0;
  #ended = false;
  readonly #waiting = new Set<{ readonly count: number; readonly go: () => void }>();

  set(count: number): void {
    this.#count = count;
    this.#release();
  }

  end(): void {
    this.#ended = true;
    this.#release();
  }

  async reached(count: number): Promise<void> {
    if (this.#ended || this.#count >= count) return;
    await new Promise<void>((go) => this.#waiting.add({ count, go }));
  }

  #release(): void {
    for (const waiting of this.#waiting) {
      if (!this.#ended && waiting.count > this.#count) continue;
      this.#waiting.delete(waiting);
      waiting.go();
    }
  }
}

/**
 * Milliseconds a server asks to wait: `retry-after-ms`, else `Retry-After` as seconds or as a date (RFC 9110, section 10.2.3). Null
 * when it says nothing, or nothing that makes sense. `now`: ms since 1970.
 */
export function retryAfterMs(headers: Headers, now: number): number | null {
  const ms = headers.get('retry-after-ms')?.trim();
  if (ms !== undefined && NUMBER.test(ms)) return Number(ms);
  const after = headers.get('retry-after')?.trim();
  if (after === undefined || after === '') return null;
  if (NUMBER.test(after)) return Number(after) * 1000;
  const date = Date.parse(after);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

const NUMBER = /^\d+(?:\.\d+)?$/;
/** However often something failed, the next time comes. */
const LONGEST_BACKOFF_MS = 30_000;

/** Wait before repetition `n` (from 0): doubled each time, then between half and all of it by chance, so that requests that failed together do not come back together. */
export function backoffMs(n: number, firstMs: number): number {
  return Math.min(firstMs * 2 ** n, LONGEST_BACKOFF_MS) * (0.5 + Math.random() / 2);
}

import { boundedParallel } from '../boundedParallel.ts';
import type { Parsed } from './askUntilParsed.ts';

/** Requests of one task under way at once; many tasks run side by side. */
export const AT_ONCE = 8;

/**
 * Asks the `count` questions of one task. When one gets no usable answer those not yet sent are not sent, and its reason is the
 * result; when one throws, those under way are awaited first, so that what was paid for is kept.
 */
export async function askAll<T>(count: number, ask: (question: number) => Promise<Parsed<T>>): Promise<Parsed<readonly T[]>> {
  const values: T[] = [];
  let bad: string | null = null;
  await boundedParallel(count, AT_ONCE, async (question) => {
    if (bad !== null) return;
    const parsed = await ask(question);
    if ('bad' in parsed) bad ??= parsed.bad;
    else values[question] = parsed.value;
  });
  return bad === null ? { value: values } : { bad };
}

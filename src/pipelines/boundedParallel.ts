/**
 * Runs `task(0)` … `task(count − 1)`, at most `limit` at once, started in order. When one fails no further one starts; those
 * under way are awaited, then the first failure is thrown.
 */
export async function boundedParallel(count: number, limit: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  let failure: unknown;
  const lane = async (): Promise<void> => {
    while (!failed && next < count) {
      try {
        await task(next++);
      } catch (error) {
        if (!failed) failure = error;
        failed = true;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, lane));
  if (failed) throw failure;
}

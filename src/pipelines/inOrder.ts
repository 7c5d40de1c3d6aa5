/**
 * Runs `run` over the items, at most `atOnce` of them at a time, and yields the results in the order of the items: what
 * consumes them gives the same whatever finished first. When the consumer stops or a run fails, nothing new is started.
 */
export async function* inOrder<A, B>(items: Iterable<A> | AsyncIterable<A>, atOnce: number, run: (item: A) => Promise<B>): AsyncGenerator<B, void, undefined> {
  const underWay: Promise<B>[] = [];
  try {
    for await (const item of items) {
      const started = run(item);
      // Awaited later; a failure before that is no unhandled one.
      started.catch(() => undefined);
      underWay.push(started);
      if (underWay.length >= atOnce) yield await underWay.shift()!;
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } finally {
    await Promise.allSettled(underWay);
  }
}

import type { Pool, QueryConfig } from 'pg';
import type { Tracer } from '../../ports/Tracer.ts';

const MOST_CHARACTERS = 500;

/** Makes each statement of the pool's connections a span, with the statement's text (never its values). */
export function traceStatements(pool: Pool, tracer: Tracer): void {
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: readonly unknown[]) => unknown;
    client.query = ((...args: readonly unknown[]) => {
      const [statement] = args;
      const { name, text } = typeof statement === 'string' ? { name: undefined, text: statement } : (statement as QueryConfig);
      // Pools call with a callback; what streams (COPY) brings its own way to end.
      const callback = args.at(-1);
      if (typeof text !== 'string' || (typeof callback !== 'function' && isStream(statement))) return query(...args);
      const values = { 'db.system': 'postgresql', 'db.query.text': text.slice(0, MOST_CHARACTERS) };
      if (typeof callback !== 'function') return tracer.span(name ?? 'SQL', values, async () => query(...args));
      const ended = Promise.withResolvers<void>();
      const told = (error: Error | null | undefined, result: unknown): void => {
        if (error === null || error === undefined) ended.resolve();
        else ended.reject(error);
        (callback as (...answer: unknown[]) => void)(error, result);
      };
      const start = (): Promise<void> => {
        query(...args.slice(0, -1), told);
        return ended.promise;
      };
      // The caller is told of a failure by its callback.
      tracer.span(name ?? 'SQL', values, start).catch(() => undefined);
      return undefined;
    }) as typeof client.query;
  });
}

function isStream(statement: unknown): boolean {
  return typeof statement === 'object' && statement !== null && 'submit' in statement;
}

import type { ApolloServerPlugin } from '@apollo/server';
import { Router, type RequestHandler } from 'express';
import type { Catalog } from '../catalog/catalog.ts';
import type { Meters, ShownMeters } from '../ports/Meters.ts';
import type { Context } from './context.ts';

/** Names of operations that get a label of their own, where no safelist says which; the rest are `other`. */
const MOST_NAMES = 50;
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const COSTS = [1, 10, 100, 1000, 10_000, 100_000];

/** How an operation ended: answered whole, answered with errors of the caller's, refused before it ran, or failed by the server. */
type Outcome = 'ok' | 'errors' | 'refused' | 'failed' | 'timed_out';

/** What the server counts of itself. */
export interface ServerMeters {
  operation(kind: string, name: string | null, outcome: Outcome, seconds: number, cost: number | undefined): void;
}

/** Makes the server's meters; names of operations are labels only when they are `known` or among the first that ran. */
export function serverMeters(meters: Meters, catalog: Catalog, known: ReadonlySet<string> | undefined): ServerMeters {
  const labels = ['kind', 'outcome', 'operation'] as const;
  const count = meters.counter('operations_total', 'GraphQL operations, by kind, outcome (ok, errors, refused, failed, timed_out) and name where names are bounded.', labels);
  const duration = meters.histogram('operation_duration_seconds', 'Time from a request being read to its answer, in seconds.', ['kind'], SECONDS);
  const costs = meters.histogram('operation_cost', 'Cost of operations that ran, in cost units.', ['kind'], COSTS);
  meters.gauge('live_running', 'Runs of a model under way.', () => catalog.liveRuns().running);
  meters.gauge('live_waiting', 'Runs of a model waiting for their turn.', () => catalog.liveRuns().waiting);
  const seen = new Set<string>();
  const nameOf = (name: string | null, outcome: Outcome): string => {
    if (name === null) return '';
    if (known !== undefined) return known.has(name) ? name : 'other';
    if (outcome === 'ok' && seen.size < MOST_NAMES) seen.add(name);
    return seen.has(name) ? name : 'other';
  };
  return {
    operation(kind, name, outcome, seconds, cost) {
      count.add({ kind, outcome, operation: nameOf(name, outcome) });
      duration.observe({ kind }, seconds);
      if (cost !== undefined) costs.observe({ kind }, cost);
    },
  };
}

/** Counts each operation that Apollo answers. */
export function metricsPlugin(meters: ServerMeters): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      const start = performance.now();
      return {
        async willSendResponse({ operation, operationName, response }) {
          if (response.body.kind !== 'single') return;
          const { errors, data, extensions } = response.body.singleResult;
          const cost = (extensions?.['cost'] as { found: number } | undefined)?.found;
          const outcome = outcomeOf((errors ?? []).map((error) => error.extensions?.['code']), data !== undefined);
          meters.operation(operation?.operation ?? 'none', operationName ?? null, outcome, (performance.now() - start) / 1000, cost);
        },
      };
    },
  };
}

function outcomeOf(codes: readonly unknown[], ran: boolean): Outcome {
  if (codes.includes('TIMED_OUT')) return 'timed_out';
  if (codes.some((code) => code === 'INTERNAL_SERVER_ERROR' || code === 'SERVICE_UNAVAILABLE')) return 'failed';
  if (!ran) return 'refused';
  return codes.length > 0 ? 'errors' : 'ok';
}

/** GET /metrics, in the text format of Prometheus, for whom the guards let through: names of operations are those that keys chose. */
export function metricsPage(meters: ShownMeters, guards: readonly RequestHandler[]): Router {
  const router = Router();
  router.get('/metrics', ...guards, async (_request, response) => {
    const { type, text } = await meters.show();
    response.set({ 'Content-Type': type, 'Cache-Control': 'no-store' }).send(text);
  });
  return router;
}

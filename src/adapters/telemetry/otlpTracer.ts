import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Context, type SpanContext } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { Tracer } from '../../ports/Tracer.ts';

/** How long a collector may take over a batch, retries included; what it does not take is lost. */
const GIVE_UP_MS = 3000;

/** Where traces go, and as whose. */
export interface TraceOptions {
  /** OTLP over HTTP: spans are POSTed to <endpoint>/v1/traces. */
  readonly endpoint: string;
  readonly serviceName: string;
  readonly version: string;
}

/** Sends spans in batches to an OpenTelemetry collector; a collector that does not answer costs the server nothing but the spans. */
export function otlpTracer({ endpoint, serviceName, version }: TraceOptions): Tracer {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: GIVE_UP_MS });
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer('feature-catalog', version);
  // One of its own instead of the process-wide one: several servers may run in a process.
  const current = new AsyncLocalStorage<Context>();
  return {
    async span(name, values, work, parent) {
      const outer = current.getStore() ?? callersContext(parent);
      const span = tracer.startSpan(name, { attributes: values, kind: current.getStore() === undefined ? SpanKind.SERVER : SpanKind.CLIENT }, outer);
      const fail = (message: string): void => void span.setStatus({ code: SpanStatusCode.ERROR, message });
      try {
        return await current.run(trace.setSpan(outer, span), () => work({ set: (more) => void span.setAttributes(more), fail }));
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
        throw error;
      } finally {
        span.end();
      }
    },
    close: () => provider.shutdown().catch(() => undefined),
  };
}

/** `00-<trace id>-<span id>-<flags>`, https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

function callersContext(header: string | undefined): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(header ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const remote: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, remote);
}

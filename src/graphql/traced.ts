import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Tracer } from '../ports/Tracer.ts';

/** The handler, as a span of the caller's trace where it names one; without a tracer the handler as it is. */
export function traced(tracer: Tracer | undefined, handler: (request: Request, response: Response, next: NextFunction) => Promise<void>): RequestHandler {
  if (tracer === undefined) return handler;
  return (request, response, next) =>
    tracer.span(
      `${request.method} /graphql`,
      { 'http.request.method': request.method, 'http.route': '/graphql', 'catalog.request_id': String(request.headers['x-request-id']) },
      async (span) => {
        await handler(request, response, next);
        span.set({ 'http.response.status_code': response.statusCode, ...operationOf(request.body) });
        if (response.statusCode >= 500) span.fail(`status ${response.statusCode}`);
      },
      header(request, 'traceparent'),
    );
}

function header(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The name the request gives its operation, if any; never the document or its variables. */
function operationOf(body: unknown): Readonly<Record<string, string>> {
  const name = typeof body === 'object' && body !== null && 'operationName' in body ? body.operationName : undefined;
  return typeof name === 'string' ? { 'graphql.operation.name': name.slice(0, 100) } : {};
}

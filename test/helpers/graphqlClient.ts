/** JSON of an answer: tests compare it with deepEqual, or walk it by path with `at`. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface GraphQLFailure {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly [key: string]: Json };
}

export interface GraphQLAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly data: Json;
  readonly errors: readonly GraphQLFailure[];
  readonly extensions: Json;
}

/** Sends one operation over HTTP. */
export async function send(url: string, query: string, variables?: Record<string, Json>, headers: Record<string, string> = {}): Promise<GraphQLAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const body = (await response.json()) as { data?: Json; errors?: GraphQLFailure[]; extensions?: Json };
  return {
    status: response.status,
    contentType: response.headers.get('content-type') ?? '',
    data: body.data ?? null,
    errors: body.errors ?? [],
    extensions: body.extensions ?? null,
  };
}

/** Sends one operation that must succeed; returns its data. */
export async function ask(url: string, query: string, variables?: Record<string, Json>): Promise<Json> {
  const { data, errors } = await send(url, query, variables);
  if (errors.length > 0) throw new Error(`unexpected errors: ${JSON.stringify(errors)}`);
  return data;
}

/** The value at a path like `feature.exemplars.0.texts`; throws where the path leads nowhere. */
export function at(json: Json, path: string): Json {
  let value = json;
  for (const key of path.split('.')) {
    const inner: Json | undefined = value !== null && typeof value === 'object' ? (value as Record<string, Json>)[key] : undefined;
    if (inner === undefined) throw new Error(`no ${key} of ${path} in ${JSON.stringify(json).slice(0, 300)}`);
    value = inner;
  }
  return value;
}

/** A list at a path. */
export function list(json: Json, path: string): Json[] {
  const value = at(json, path);
  if (!Array.isArray(value)) throw new Error(`${path} is no list`);
  return value;
}

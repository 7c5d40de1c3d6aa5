/**
 * `fetch` whose failed answers have the one form of error that the `openai` package reads, `{ error: { message, code, type, param } }`;
 * of all others it keeps only the status. Servers also write the members without `error` around them (vLLM), `detail` (FastAPI), an
 * error that is a text, or plain text.
 */
export async function fetchWithPlainErrors(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init);
  if (response.ok) return response;
  const text = await response.text();
  const headers = new Headers(response.headers);
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) headers.delete(name);
  headers.set('content-type', 'application/json');
  return new Response(JSON.stringify({ error: plainError(text) }), { status: response.status, statusText: response.statusText, headers });
}

/** The error in a body of any of those forms; its message is the body where nothing else is found. */
export function plainError(text: string): Readonly<Record<string, unknown>> {
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Plain text or a page of HTML.
  }
  const { error = body, detail } = isObject(body) ? body : {};
  if (isObject(error) && typeof error.message === 'string') return error;
  const said = [error, detail].find((value) => typeof value === 'string' && value !== '') ?? (detail === undefined ? text : JSON.stringify(detail));
  return { message: said === '' ? 'no reason given' : said };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

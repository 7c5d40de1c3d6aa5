import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ChatMessage } from '../../src/ports/ChatModel.ts';
import { deliver, failBeforeWork, faultFor, isBeforeWork, losesWork, type FaultKind, type FaultPlan } from './openaiFaults.ts';

/** A request as the rule-based "model" sees it. */
export interface ServedRequest {
  readonly path: 'chat' | 'completions' | 'embeddings';
  readonly model: string;
  /** Empty for completions and embeddings. */
  readonly messages: readonly ChatMessage[];
  /** All that was said: the prompt of completions, or the messages one after the other. */
  readonly prompt: string;
  /** Texts to embed. */
  readonly input: readonly string[];
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number | null;
  readonly schema: { readonly name: string; readonly schema: unknown } | null;
  readonly idempotencyKey: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ServedReply {
  readonly text: string;
  readonly finish?: 'stop' | 'length' | 'content_filter';
  readonly refusal?: string;
}

export interface OpenaiServerOptions {
  /** The "model": reads the request and answers. Default: says the last word of the prompt. */
  readonly reply?: (request: ServedRequest) => string | ServedReply;
  /** What else might have stood where `token` stands after `before` (replies and echoed prompts): probabilities by token; default { [token]: 1 }. */
  readonly alternatives?: (place: { readonly token: string; readonly before: string; readonly request: ServedRequest }) => Readonly<Record<string, number>>;
  /** Vector of a text; default counts its letters. */
  readonly embed?: (text: string) => readonly number[];
  readonly faults?: FaultPlan;
  /** Milliseconds of "work". */
  readonly latencyMs?: number;
  /** Parameters of chats refused with 400, e.g. `max_completion_tokens`, `temperature`, `seed`, `logprobs`, `response_format`. */
  readonly refuses?: readonly string[];
  /** The same for completions, e.g. `echo` (then no prompt can be read). */
  readonly refusesReading?: readonly string[];
  /** Fewest tokens a completion must say: 1 as in servers that cannot read without speaking. */
  readonly leastReading?: number;
  /** Such a server fails with 500 and says nothing of why, instead of 400. */
  readonly failsDumbly?: boolean;
  /** Any other API key is answered 401. */
  readonly apiKey?: string;
  /** Other models are answered 404; default: any is known. */
  readonly models?: readonly string[];
}

export interface ServerStats {
  /** Requests that came. */
  readonly arrived: number;
  /** Times a request of this Idempotency-Key was answered in full. */
  readonly paid: ReadonlyMap<string, number>;
  /** Times the work was done for this key but the client cannot have got the answer. */
  readonly lost: ReadonlyMap<string, number>;
  /** Tokens of work done: delivered and lost. */
  readonly tokens: { readonly paid: { readonly prompt: number; readonly completion: number }; readonly lost: { readonly prompt: number; readonly completion: number } };
  /** Most requests under way at once. */
  readonly peak: number;
  /** Under way now. */
  readonly open: number;
  /** In order of arrival; `at` in ms of performance.now(). */
  readonly log: readonly { readonly key: string; readonly path: string; readonly at: number; readonly fault: FaultKind | null; readonly status: number }[];
  readonly faults: ReadonlyMap<FaultKind, number>;
}

export interface OpenaiServer {
  /** Base URL, e.g. `http://127.0.0.1:40001/v1`; a child process gets it as OPENAI_BASE_URL. */
  readonly url: string;
  stats(): ServerStats;
  close(): Promise<void>;
}

/** The server's tokens: words with the space before them, single spaces, single signs. */
export function serverTokens(text: string): string[] {
  return text.match(/ ?[\p{L}\p{N}]+|\s|[^\s\p{L}\p{N}]/gu) ?? [];
}

/**
 * A server on loopback that speaks the OpenAI protocol (`/v1/models`, `/v1/chat/completions` with logprobs and json_schema,
 * `/v1/completions` with echo, `/v1/embeddings`) over a rule-based model, and goes wrong by plan. It honours no Idempotency-Key: a
 * repetition of lost work is work again, as with most servers.
 */
export async function startOpenaiServer(options: OpenaiServerOptions = {}): Promise<OpenaiServer> {
  const arrivals = new Map<string, number>();
  const count = { arrived: 0, open: 0, peak: 0 };
  const paid = new Map<string, number>();
  const lost = new Map<string, number>();
  const faults = new Map<FaultKind, number>();
  const tokens = { paid: { prompt: 0, completion: 0 }, lost: { prompt: 0, completion: 0 } };
  const log: ServerStats['log'][number][] = [];

  const handle = async (http: IncomingMessage, response: ServerResponse): Promise<void> => {
    const at = performance.now();
    count.arrived++;
    count.peak = Math.max(count.peak, ++count.open);
    response.on('close', () => count.open--);
    const chunks: Buffer[] = [];
    for await (const chunk of http) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const path = new URL(http.url!, 'http://localhost').pathname.replace(/^\/v1\//, '');
    const key = String(http.headers['idempotency-key'] ?? createHash('sha256').update(path).update(bytes).digest('hex'));
    const note = (status: number, fault: FaultKind | null = null): void => void log.push({ key, path, at, fault, status });
    const refuse = (status: number, message: string, code: string | null, param: string | null = null): void => {
      note(status);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message, type: 'invalid_request_error', code, param } }));
    };
    if (options.apiKey !== undefined && http.headers.authorization !== `Bearer ${options.apiKey}`) return refuse(401, `Incorrect API key provided: ${http.headers.authorization?.slice(7) ?? ''}.`, 'invalid_api_key');
    if (path === 'models') return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data: (options.models ?? ['rules']).map((id) => ({ id, object: 'model' })) }));
    const request = parseRequest(path, key, bytes);
    if (typeof request === 'string') return refuse(path.includes('/') || path === 'embeddings' ? 400 : 404, request, null);
    if (options.models !== undefined && !options.models.includes(request.model)) return refuse(404, `The model ${request.model} does not exist`, 'model_not_found');
    const refused = (request.path === 'chat' ? options.refuses : request.path === 'completions' ? options.refusesReading : [])?.find((name) => request.body[name] !== undefined && request.body[name] !== null && request.body[name] !== false);
    if (refused !== undefined) return refuse(400, `Unsupported parameter: '${refused}' is not supported with this model.`, 'unsupported_parameter', refused);
    if (request.path === 'completions' && request.maxTokens < (options.leastReading ?? 0)) return options.failsDumbly === true ? refuse(500, 'Internal Server Error', null) : refuse(400, `max_tokens must be at least ${options.leastReading}, got ${request.maxTokens}.`, null);

    const arrival = arrivals.get(key) ?? 0;
    arrivals.set(key, arrival + 1);
    // By what is asked, not by the key: that depends on the port, and would draw other faults every time.
    const fault = faultFor(options.faults, `${request.path} ${JSON.stringify(request.body)}`, arrival);
    if (fault !== null) faults.set(fault, (faults.get(fault) ?? 0) + 1);
    if (fault !== null && isBeforeWork(fault)) {
      note(0, fault);
      return failBeforeWork(fault, options.faults!, http, response);
    }
    if (options.latencyMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.latencyMs));
    const answer = answerOf(request, options);
    note(200, fault);
    // A client that left meanwhile gets nothing: that is lost, too.
    const isLost = response.destroyed || (fault !== null && losesWork(fault));
    const side = isLost ? lost : paid;
    const sum = isLost ? tokens.lost : tokens.paid;
    side.set(key, (side.get(key) ?? 0) + 1);
    sum.prompt += answer.usage.prompt_tokens;
    sum.completion += answer.usage.completion_tokens;
    deliver(fault, answer, http, response);
  };
  const server = createServer((http, response) => {
    handle(http, response).catch((error: unknown) => {
      // A client that went away in the middle of its request is no failure; a mistake of the "model" is, and is shown.
      if (!http.destroyed || http.complete) response.writeHead(500, { 'x-should-retry': 'false' }).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    stats: () => ({ ...count, paid: new Map(paid), lost: new Map(lost), tokens: structuredClone(tokens), log: [...log], faults: new Map(faults) }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Runs `use` with a server that is closed afterwards; a request that is still under way then fails the test. */
export async function withOpenaiServer<T>(options: OpenaiServerOptions, use: (server: OpenaiServer) => Promise<T>): Promise<T> {
  const server = await startOpenaiServer(options);
  try {
    const result = await use(server);
    // The server needs a moment to see that a client has hung up.
    for (let look = 0; look < 100 && server.stats().open > 0; look++) await new Promise((resolve) => setTimeout(resolve, 20));
    const { open } = server.stats();
    if (open > 0) throw new Error(`${open} requests to the server were left under way`);
    return result;
  } finally {
    await server.close();
  }
}

function parseRequest(path: string, idempotencyKey: string, bytes: Buffer): ServedRequest | string {
  const name = path === 'chat/completions' ? 'chat' : path === 'completions' || path === 'embeddings' ? path : null;
  if (name === null) return `Unknown path ${path}`;
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(bytes.toString()) as Record<string, unknown>;
  } catch {
    return 'The body is not JSON';
  }
  const messages = (body.messages ?? []) as ChatMessage[];
  const format = body.response_format as { json_schema?: { name: string; schema: unknown } } | undefined;
  return {
    path: name, model: String(body.model), messages,
    prompt: name === 'completions' ? String(body.prompt) : messages.map(({ content }) => content).join('\n\n'),
    input: typeof body.input === 'string' ? [body.input] : ((body.input ?? []) as string[]),
    maxTokens: Number(body.max_completion_tokens ?? body.max_tokens ?? 1e9), temperature: Number(body.temperature ?? 1),
    seed: body.seed === undefined ? null : Number(body.seed),
    schema: format?.json_schema ?? null, idempotencyKey, body,
  }; // prettier-ignore
}

type Answer = Record<string, unknown> & { usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number } };

function answerOf(request: ServedRequest, options: OpenaiServerOptions): Answer {
  const { path, body, messages, prompt, model } = request;
  if (path === 'embeddings') {
    const embed = options.embed ?? countLetters;
    const prompt_tokens = request.input.reduce((sum, text) => sum + serverTokens(text).length, 0);
    return { object: 'list', model, data: request.input.map((text, index) => ({ object: 'embedding', index, embedding: embed(text) })), usage: { prompt_tokens, completion_tokens: 0, total_tokens: prompt_tokens } };
  }
  const said = request.maxTokens === 0 ? '' : (options.reply ?? ((asked) => asked.prompt.split(/\s+/).at(-1) ?? ''))(request);
  const reply: ServedReply = typeof said === 'string' ? { text: said } : said;
  const all = serverTokens(reply.text);
  const given = all.slice(0, request.maxTokens);
  const text = given.join('');
  const finish_reason = reply.finish ?? (given.length < all.length ? 'length' : 'stop');
  const promptTokens = serverTokens(prompt);
  // Chat templates add a few tokens around every message.
  const prompt_tokens = promptTokens.length + 4 * messages.length + (path === 'chat' ? 3 : 0);
  const usage = { prompt_tokens, completion_tokens: given.length, total_tokens: prompt_tokens + given.length };
  const head = { id: `answer-${request.idempotencyKey.slice(0, 8)}`, created: 0, model, usage };
  const rank = (token: string, before: string, n: number): [string, number][] =>
    Object.entries((options.alternatives ?? (({ token: only }) => ({ [only]: 1 })))({ token, before, request }))
      .map(([other, p]): [string, number] => [other, Math.log(p)])
      .sort((a, b) => b[1] - a[1])
      .slice(0, n);
  const logprobOf = (token: string, top: readonly [string, number][]): number => top.find(([other]) => other === token)?.[1] ?? -20;
  if (path === 'chat') {
    const n = Number(body.top_logprobs ?? 0);
    const before = textsBefore(given);
    const content = given.map((token, i) => {
      const top = rank(token, before[i], Math.max(n, 1));
      const entry = ([other, logprob]: readonly [string, number]) => ({ token: other, logprob, bytes: [...Buffer.from(other)] });
      return { ...entry([token, logprobOf(token, top)]), top_logprobs: top.slice(0, n).map(entry) };
    });
    const message = { role: 'assistant', content: reply.refusal === undefined ? text : null, refusal: reply.refusal ?? null };
    return { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason, logprobs: body.logprobs === true ? { content, refusal: null } : null }] };
  }
  const echoed = body.echo === true ? promptTokens : [];
  const spoken = [...echoed, ...given];
  let place = 0; // characters as Python counts them
  const text_offset = spoken.map((token) => (place += [...token].length) - [...token].length);
  const before = textsBefore(spoken, body.echo === true ? '' : prompt);
  const tops = spoken.map((token, i) => rank(token, before[i], Number(body.logprobs ?? 0)));
  const logprobs = {
    tokens: spoken, text_offset,
    token_logprobs: spoken.map((token, i) => (i === 0 && body.echo === true ? null : logprobOf(token, tops[i]))),
    top_logprobs: tops.map((top, i) => (i === 0 && body.echo === true ? null : Object.fromEntries(top))),
  }; // prettier-ignore
  return { ...head, object: 'text_completion', choices: [{ index: 0, text: (body.echo === true ? prompt : '') + text, finish_reason, logprobs: typeof body.logprobs === 'number' ? logprobs : null }] };
}

/** For each token what stands before it, `first` included; slices of one string, for prompts of thousands of tokens. */
function textsBefore(tokens: readonly string[], first = ''): string[] {
  const text = first + tokens.join('');
  let end = first.length;
  return tokens.map((token) => text.slice(0, (end += token.length) - token.length));
}

function countLetters(text: string): number[] {
  const counts = Array.from({ length: 26 }, () => 0.01);
  for (const letter of text.toLowerCase()) {
    const at = letter.charCodeAt(0) - 97;
    if (at >= 0 && at < 26) counts[at] = counts[at] + 1;
  }
  return counts;
}

import autocannon from 'autocannon';

export interface Question {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

export interface Measured {
  /** Requests a second. */
  readonly rate: number;
  /** Milliseconds: of all requests of the round. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly bytes: number;
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json' };
const CONNECTIONS = 8;

export async function ask(url: string, question: Question): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', headers: HEADERS, body: JSON.stringify(question) });
  const answer = (await response.json()) as { data?: unknown; errors?: unknown };
  if (answer.errors !== undefined) throw new Error(`${url}: ${JSON.stringify(answer.errors).slice(0, 1000)}\nasked: ${JSON.stringify(question)}`);
  return answer.data;
}

/** Eight connections, each with one request under way at any time, for so many seconds. */
export async function measure(url: string, questions: readonly Question[], seconds: number): Promise<Measured> {
  const times: number[] = [];
  const requests = questions.map((question) => ({ method: 'POST' as const, headers: HEADERS, body: JSON.stringify(question) }));
  const result = await new Promise<Parameters<Parameters<typeof autocannon>[1]>[1]>((resolve, reject) => {
    const cannon = autocannon({ url, connections: CONNECTIONS, duration: seconds, requests }, (error, done) => (error === null ? resolve(done) : reject(error)));
    cannon.on('response', (_client: unknown, _status: number, _bytes: number, time: number) => times.push(time));
  });
  if (result.errors + result.timeouts + result.non2xx > 0) throw new Error(`${url}: ${result.errors} errors, ${result.timeouts} timeouts, ${result.non2xx} answers that are no 2xx`);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
  return { rate: result.requests.total / result.duration, p50: at(0.5), p95: at(0.95), p99: at(0.99), bytes: result.throughput.total / result.requests.total };
}

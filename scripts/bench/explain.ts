/**
 * Explaining a catalog of 10,000 features: features per minute and memory. The command line is run as a user runs it, as a process
 * of its own; its resident memory is read from /proc while it works, so this bench is for Linux.
 *
 *  - `pattern`: the explainer without a language model, on the bundled demo model.
 *  - `llm`: token–activation prompts and detection over a server on loopback that answers after a fixed time with ready-made
 *    replies, so that what is measured is the program: against what the server can give at that concurrency.
 *
 *     node scripts/bench/explain.ts [pattern|llm|all] [features, default 10000] [folder to keep and reuse]
 *
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { demoText } from '../stages/textSources.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FEATURES = 10_000;
const D_MODEL = 192;
const LATENCY_MS = 20;
const CONCURRENCY = 16;
/** Peak memory is also told after this share of the features: flat means that it does not grow with them. */
const EARLY = 0.2;

interface Ran {
  readonly seconds: number;
  /** Highest resident memory in bytes: of the first EARLY of the features, and of all. */
  readonly early: number;
  readonly peak: number;
  readonly output: string;
}

/** Runs the command line to its end, watching its memory. */
async function catalog(home: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const started = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'scripts', 'cli.ts'), ...args], { env: { ...process.env, CATALOG_HOME: home, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let early = 0;
  let peak = 0;
  const hear = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const look = async (): Promise<void> => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => ''); // it may have ended
    const bytes = 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    peak = Math.max(peak, bytes);
    if (shareDone(output) < EARLY) early = Math.max(early, bytes);
  };
  const watch = setInterval(() => void look(), 250);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${args.join(' ')}: exit ${String(code)}\n${output}`);
  return { seconds: (performance.now() - started) / 1000, early, peak, output };
}

/** Of the last progress line, e.g. `2,000/10,000 features`. */
function shareDone(output: string): number {
  const last = [...output.matchAll(/([\d,]+)\/([\d,]+) features/g)].at(-1);
  return last === undefined ? 0 : Number(last[1].replaceAll(',', '')) / Number(last[2].replaceAll(',', ''));
}

/** A TopK dictionary of 10,000 features of the demo model, trained a little, and its analysis: 20 strongest fragments for most. */
async function prepare(home: string): Promise<void> {
  if (existsSync(join(home, 'current', 'demo.json'))) return;
  const text = join(home, '..', 'text.jsonl');
  const lines: string[] = [];
  let characters = 0;
  for await (const document of demoText(1).documents()) {
    lines.push(JSON.stringify({ text: document }));
    if ((characters += document.length) > 4e6) break;
  }
  await writeFile(text, `${lines.join('\n')}\n`);
  const trained = await catalog(home, ['train', '--model', join(ROOT, 'models', 'demo'), '--text', text, '--layers', '1', '--architecture', 'topk', '--k', '32', '--ratio', String(FEATURES / D_MODEL), '--max-vectors', '200k', '--train-share', '0.25', '--set', 'wide']);
  const analysed = await catalog(home, ['analyse', '--model', 'demo', '--set', 'wide']);
  console.log(`prepared: trained in ${trained.seconds.toFixed(0)} s, analysed in ${analysed.seconds.toFixed(0)} s (peak ${mib(analysed.peak)})`);
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** Explains and tells; `bound` in features per minute is what the language model's server can give. */
async function measure(home: string, label: string, args: readonly string[], bound?: (requestsPerFeature: number) => number, environment: Readonly<Record<string, string>> = {}): Promise<void> {
  const { seconds, early, peak } = await catalog(home, ['explain', '--model', 'demo', '--set', 'wide', ...args], environment);
  const current = (await readCurrentRuns(home, 'demo'))!.dictionaries['1-wide']!;
  const runs = await Promise.all(Object.values(current.explain).map((dir) => readManifest(join(home, dir))));
  const { metrics } = runs.toSorted((a, b) => (a.run.finishedAt! < b.run.finishedAt! ? 1 : -1))[0].run;
  const perMinute = metrics['featuresPerMinute'] as number;
  const asked = metrics['asked'] as { requests: number } | undefined;
  const requests = asked === undefined ? '' : `; ${asked.requests} requests, ${(asked.requests / (metrics['seconds'] as number)).toFixed(0)} a second`;
  const limit = asked === undefined || bound === undefined ? '' : `; the server alone could give ${bound(asked.requests / (metrics['features'] as number)).toFixed(0)} features a minute`;
  console.log(
    `${label}: ${metrics['features'] as number} features (${metrics['explained'] as number} explained) in ${seconds.toFixed(0)} s, ${perMinute.toFixed(0)} a minute${requests}${limit}; ` +
      `memory at most ${mib(peak)}, in the first ${100 * EARLY} % ${mib(early)}`,
  );
}

/** Answers after LATENCY_MS: an explanation, or as many labels as the schema asks for. Does no work, so that it does not take the program's processor. */
async function readyServer(): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const labels = /"minItems":(\d+)/.exec(body)?.[1];
      const content = labels === undefined ? 'the word "about" and prepositions near it' : JSON.stringify({ labels: Array.from({ length: Number(labels) }, (_, i) => i % 2) });
      const answer = request.url!.endsWith('/chat/completions')
        ? { id: 'a', object: 'chat.completion', created: 0, model: 'ready', choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, finish_reason: 'stop', logprobs: null }], usage: { prompt_tokens: 900, completion_tokens: 20, total_tokens: 920 } }
        : { error: { message: 'not served', type: 'invalid_request_error', code: null, param: null } };
      setTimeout(() => response.writeHead('error' in answer ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer)), LATENCY_MS);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const [what = 'all', count = String(FEATURES), kept] = process.argv.slice(2);
const folder = kept ?? (await mkdtemp(join(tmpdir(), 'feature-catalog-bench-')));
const home = join(folder, 'home');
const features = Number(count);
try {
  await prepare(home);
  if (what !== 'llm') await measure(home, 'pattern explainer and its simulation', ['--features', String(features)]);
  if (what !== 'pattern') {
    const server = await readyServer();
    const args = ['--explainer', 'token-act-pair', '--llm', 'ready', '--scorers', 'detection', '--concurrency', String(CONCURRENCY), '--features', String(features)];
    const bound = (requestsPerFeature: number): number => (60 * CONCURRENCY * 1000) / LATENCY_MS / requestsPerFeature;
    await measure(home, `language model, ${LATENCY_MS} ms a reply, ${CONCURRENCY} at once`, args, bound, { OPENAI_BASE_URL: server.url });
    server.close();
  }
} finally {
  if (kept === undefined) await rm(folder, { recursive: true, force: true });
}

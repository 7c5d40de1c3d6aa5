import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const CLI = join(import.meta.dirname, '..', '..', 'scripts', 'cli.ts');

export interface CliRun {
  readonly child: ChildProcess;
  /** Everything written so far, both streams. */
  output(): string;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

/** Starts the command-line program as a user would; kill it or wait for `ended`. */
export function startCli(home: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): CliRun {
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, CATALOG_HOME: home, LOG_LEVEL: 'silent', ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]) => (code as number | null) ?? String(signal));
  return { child, output: () => text, ended };
}

/** Runs it to the end; throws with its output unless it exits with `expected`. */
export async function runCli(home: string, args: readonly string[], expected = 0): Promise<string> {
  const run = startCli(home, args);
  const code = await run.ended;
  if (code !== expected) throw new Error(`${args.join(' ')}: expected exit ${expected}, found ${code}:\n${run.output()}`);
  return run.output();
}
